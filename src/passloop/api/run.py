"""A submitted run: wait for it, watch it, cancel it, read its results. It holds ids only; the engine has the rest."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager
from typing import TYPE_CHECKING, Any

from passloop.apps.counting import counted

from .door import Door
from .errors import PassloopError, told
from .http import Query
from .records import FINAL, Change, Frame, RunResult, Task, Tasks, result_file, returned_nothing, task_of

if TYPE_CHECKING:
    from passloop.store.filters import TaskFilter
    from passloop.store.reader import Reader

__all__ = ["Run"]

WAIT_MS = 60_000
MOST_RANGES = 300


class Run:
    """The tasks of one submission, in its order. `existing` are those that a key had already made."""

    def __init__(self, door: Door, run: int, name: str, tasks: Sequence[int], *, existing: Sequence[int] = ()) -> None:
        self._door = door
        self.id = run
        self.name = name
        self.task_ids = tuple(tasks)
        self.existing = tuple(existing)

    def __repr__(self) -> str:
        return f"<passloop run {self.id} {self.name!r}, {counted(len(self.task_ids), 'task')}>"

    async def wait(self, timeout: float | None = None) -> RunResult:  # noqa: ASYNC109  seconds, as in asyncio.wait
        """Wait until all tasks are final, `timeout` seconds at most (`TimeoutError`). A failed task is no error."""
        async with asyncio.timeout(timeout):
            for query in _selections(self.task_ids):
                while not (await self._door.get("/wait", [*query, ("timeout_ms", WAIT_MS)]))["final"]:
                    pass
        return await self.result()

    async def watch(self) -> AsyncGenerator[Change, None]:
        """Every task's state now, then each change as it is committed, until all tasks are final."""
        watched = _Watched(self.task_ids)
        async with aclosing(self._door.turns()) as turns:
            async for turn in turns:
                if turn is None:
                    changes = watched.begin(*await asyncio.to_thread(self._stored_states))
                else:
                    changes = watched.take(turn["seq"], [(one["id"], one["state"]) for one in turn["tasks"]])
                for change in changes:
                    yield change
                if not watched.left:
                    return

    async def tasks(self) -> Tasks:
        """The tasks as they are now, in the order of the submission."""
        found: dict[int, Task] = {}
        for query in _selections(self.task_ids):
            found |= {view["id"]: task_of(view) for view in (await self._door.get("/tasks", query))["tasks"]}
        return Tasks(found[task] for task in self.task_ids if task in found)

    async def result(self) -> RunResult:
        """The run as it is now."""
        return RunResult(self.id, self.name, await self.tasks())

    async def values(self) -> tuple[Any, ...]:
        """What each called function returned, in order. Raises `PassloopError` for a task that has no result."""
        return tuple([_value(self._door, task) for task in await self.tasks()])

    async def cancel(self, reason: str = "cancelled by user") -> tuple[int, ...]:
        """End the tasks that are not final, politely where they run; returns which these were."""
        changed: list[int] = []
        for query in _selections(self.task_ids):
            body = {"select": [word for _, word in query], "reason": reason}
            changed += (await self._door.post("/tasks/cancel", body, repeatable=True))["changed"]
        return tuple(changed)

    def to_pandas(self) -> Frame:
        """One row per task as it is now, read from the store; see `RunResult.to_pandas`."""
        return self._stored().to_pandas()

    def _repr_html_(self) -> str:
        """The run as it is now, as a table for notebooks."""
        return self._stored()._repr_html_()

    def _stored(self) -> RunResult:
        """The run as the store has it: what may not wait for the engine reads it itself."""
        from passloop.apps.queue.views import task_view

        with self._reader() as reader:
            views = reader.tasks(self._filter())
        return RunResult(self.id, self.name, tuple(task_of(task_view(view)) for view in views))

    def _stored_states(self) -> tuple[int, list[tuple[int, str]]]:
        """A journal number, and each task's state then or a little later."""
        with self._reader() as reader:
            seq = reader.last_seq()
            return seq, [(view.row.id, view.row.state.value) for view in reader.tasks(self._filter())]

    @contextmanager
    def _reader(self) -> Iterator[Reader]:
        from passloop.store.home import Home
        from passloop.store.reader import Reader

        with told(), Reader.open(Home(self._door.path)) as reader:
            yield reader

    def _filter(self) -> TaskFilter:
        from passloop.store.filters import TaskFilter

        return TaskFilter(ids=tuple(_ranges(self.task_ids)))


class _Watched:
    """The states of tasks as they are told, and which tasks are `left` because they are not final."""

    def __init__(self, tasks: Sequence[int]) -> None:
        self.left = set(tasks)
        self._states: dict[int, str] = {}
        self._known = 0

    def begin(self, seq: int, states: Sequence[tuple[int, str]]) -> list[Change]:
        """These are the states after turn `seq`; turns up to it tell nothing new."""
        self._known = seq
        return self._changes(0, states)

    def take(self, seq: int, states: Sequence[tuple[int, str]]) -> list[Change]:
        """Turn `seq` brought tasks to these states."""
        return self._changes(seq, states) if seq > self._known else []

    def _changes(self, seq: int, states: Sequence[tuple[int, str]]) -> list[Change]:
        new = [(task, state) for task, state in states if task in self.left and self._states.get(task) != state]
        self._states.update(new)
        self.left.difference_update(task for task, state in new if state in FINAL)
        return [Change(task, state, seq) for task, state in new]


def _value(door: Door, task: Task) -> Any:
    try:
        path = result_file(door.path, task)
        return None if returned_nothing(path) else json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as missing:
        message = f"task {task.id} left no result: it is {task.state}"
        raise PassloopError(message, hint=f"passloop logs {task.id}", code="no_result") from missing


def _ranges(ids: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Ids as ranges, both ends included."""
    first = last = 0
    for number in sorted(set(ids)):
        if first and number == last + 1:
            last = number
            continue
        if first:
            yield first, last
        first = last = number
    if first:
        yield first, last


def _selections(ids: Sequence[int]) -> Iterator[Query]:
    """Queries that select these tasks, each short enough for a request."""
    words = [str(low) if low == high else f"{low}-{high}" for low, high in _ranges(ids)]
    for start in range(0, len(words), MOST_RANGES):
        yield [("select", word) for word in words[start : start + MOST_RANGES]]
