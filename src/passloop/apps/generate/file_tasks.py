"""The last task of a dataset's run: it writes the files from what is committed, so that a run that nobody follows any
more has them too. It is a task like others: it survives the engine, and it says so if the files cannot be written.

This file says what the task is and sees to it that each run gets one, and one more whenever the run went on after it;
`files.py` is what it runs.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from passloop.drivers import descriptors
from passloop.engine.engine import Engine
from passloop.engine.errors import EngineStopped, Refused
from passloop.kernel.events import Submitted
from passloop.kernel.ids import RunId, TaskId
from passloop.kernel.resources import Request, Variant
from passloop.kernel.source_rows import SourceState
from passloop.kernel.tasks import FINAL_STATES, Dependency, NewTask, TaskSpec, TaskState
from passloop.store.filters import TaskFilter, ranges_of

from .declaring import file_task_key, makes_files, newest_file_task
from .expander import KIND

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from passloop.store.reader import Reader
    from passloop.store.sources import SourceView

__all__ = ["FileTasks"]

PROGRAM = "passloop.apps.generate.files"
MANY = 1_000
"""Of so many live tasks of a run one task may come after each; more wait for the end of the task that does already."""
_LIVE = tuple(state.value for state in TaskState if state not in FINAL_STATES)


class FileTasks:
    """Gives each run of a dataset its last task, once all its cells are final. All is called on the loop.

    A pause and a want of descriptors are waited out. Any other error ends the engine: who waits for the files would
    wait for ever.
    """

    def __init__(self, engine: Engine, *, home: str) -> None:
        self._engine = engine
        self._home = home
        self._following: dict[RunId, set[asyncio.Task[None]]] = {}
        self._giving = asyncio.Lock()  # held from the look at what a run has until it has what it lacked

    async def start(self) -> None:
        """Follow the runs of earlier engines that have no such task yet."""
        for run in await self._engine.read(_without_files):
            self.follow(run)

    async def stop(self) -> None:
        """Give up waiting; the next engine goes on."""
        following = [task for tasks in self._following.values() for task in tasks]
        for each in following:
            each.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    def follow(self, run: RunId, *, again: bool = False) -> None:
        """See to it that a run gets its last task: after it was declared, and whenever its source goes on; `again` is
        for cells that were retried, and gives one more to a run that has it.

        Of several that follow one run, one gives it the task; so none needs to know of the others.
        """
        task = asyncio.get_running_loop().create_task(self._see_to(run, again=again), name=f"passloop-files-{run}")
        self._following.setdefault(run, set()).add(task)
        task.add_done_callback(partial(self._followed, run))

    def follows(self, run: RunId) -> bool:
        """Whether a run is to get a task that it does not have yet."""
        return run in self._following

    async def wait(self, run: RunId, *, timeout_ms: int | None = None) -> bool:
        """Wait until a run that is over has its last task, if it is to have one; False if time ran out first."""
        following = self._following.get(run)
        if not following:
            return True
        _, late = await asyncio.wait(following, timeout=None if timeout_ms is None else timeout_ms / 1000)
        return not late

    async def again(self, cells: Sequence[TaskId]) -> None:
        """After a retry: a run whose source is over gets one more, for when these cells are final. When it returns, the
        run has it or is one that this engine follows, and the next one would; raises as `Engine.submit` does, but for a
        pause, whose end it waits for.
        """
        for run in await descriptors.patiently(partial(self._engine.read, partial(_runs_of, tasks=cells))):
            if await self._give(run, again=True) is not None:
                self.follow(run)

    def _followed(self, run: RunId, task: asyncio.Task[None]) -> None:
        others = self._following[run]
        others.discard(task)
        if not others:
            del self._following[run]
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._engine.turns.fail(error)

    async def _see_to(self, run: RunId, *, again: bool) -> None:
        """Wait for the end of a run's source, and of a task that others wait for, then give the run its task."""
        with suppress(EngineStopped):  # the next engine follows it
            await descriptors.patiently(partial(self._engine.wait_source, run))
            while (earlier := await self._give(run, again=again)) is not None:
                await descriptors.patiently(partial(self._engine.wait_final, (earlier,)))

    async def _give(self, run: RunId, *, again: bool = False) -> TaskId | None:
        """Submit the task that a run lacks, if its source is over; whoever lets that go on follows it again. Gives the
        task whose end it has to wait for first, if so.
        """
        async with self._giving:
            while True:
                lacking = await descriptors.patiently(
                    partial(self._engine.read, partial(self._lacking, run=run, again=again))
                )
                if not isinstance(lacking, Submitted):
                    return lacking
                if await descriptors.patiently(partial(self._try_to_give, lacking)):
                    return None

    async def _try_to_give(self, lacking: Submitted) -> bool:
        """False if the run, or a task that it was to come after, was removed meanwhile."""
        try:
            await self._engine.submit(lacking, through_pauses=True)
        except Refused as refused:
            if refused.code != "not_found":
                raise
            return False
        return True

    def _lacking(self, reader: Reader, run: RunId, *, again: bool) -> Submitted | TaskId | None:
        """The task to submit. It comes after all that is live in the run, whatever the ends of these are: cells that
        were retried, and an earlier task of its kind, which writes the same files.

        Where that would be many, again and again (a user retries one cell after the other), it is the earlier task: at
        its end there is one for all that came meanwhile. A run that has one already, of which nobody knows whether it
        waits for them all, is given one at once: the next engine would not follow it.
        """
        source = reader.source(run)
        if source is None or source.row.ended_at is None or not _has_files(source):
            return None
        newest = newest_file_task(reader, source)
        if newest is not None and not again:
            return None
        earlier = [] if newest is not None else _live_file_tasks(reader, run)  # first: what ends now is in none
        live = reader.task_ids(TaskFilter(runs=(run,), states=_LIVE))
        if earlier and len(live) > MANY:
            return TaskId(earlier[-1])
        key = file_task_key(run)
        if reader.keyed([key]):
            key = file_task_key(f"{run}:{reader.newest_task_of(run)}")
        return self._submission(source, key=key, after=live)

    def _submission(self, source: SourceView, *, key: str, after: Iterable[int]) -> Submitted:
        """The task: it asks for nothing, so that it does not wait behind work that fills the box."""
        row = source.row
        told = json.loads(source.spec)
        command = [sys.executable, "-m", PROGRAM, self._home, str(row.run)]
        payload = {"name": "files", "params": {}, "command": command, "cwd": told["cwd"], "env": {}}
        name = f"generate {told['spec']['generate']} files"
        spec = TaskSpec(Request((Variant(),)), task_class=name, program="generate")
        waits = tuple(Dependency(TaskId(task), any_end=True) for task in after)
        task = NewTask(spec, json.dumps(payload), key=key, after=waits)
        return Submitted(name="", run=row.run, group=row.group, priority=row.priority, tasks=(task,))


def _has_files(source: SourceView) -> bool:
    """Whether a run is one of a dataset that is to have files."""
    row = source.row
    return row.kind == KIND and row.state is not SourceState.CANCELLED and makes_files(source.spec)


def _is_owed(reader: Reader, source: SourceView) -> bool:
    """Whether a run lacks its last task. Where cells of a source that is over were removed, nothing is to be made of
    the rest, but of those that are asked again.
    """
    row = source.row
    return (
        newest_file_task(reader, source) is None
        and _has_files(source)  # asked of few: it reads the whole spec
        and (
            row.ended_at is None
            or reader.count_cells(row.run) == row.tasks
            or reader.count(TaskFilter(runs=(row.run,), states=_LIVE)) > 0
        )
    )


def _without_files(reader: Reader) -> list[RunId]:
    """The runs that lack their last task."""
    sources = map(reader.source, reader.sources_of_kind(KIND))
    return [source.row.run for source in sources if source is not None and _is_owed(reader, source)]


def _live_file_tasks(reader: Reader, run: RunId) -> list[int]:
    """The tasks of this kind that a run has and that are not final, ascending."""
    key = file_task_key(run)
    return reader.task_ids(TaskFilter(runs=(run,), states=_LIVE, keys=(key, f"{key}:*")))


def _runs_of(reader: Reader, tasks: Sequence[TaskId]) -> list[RunId]:
    """The runs that have cells among these tasks."""
    views = reader.tasks(TaskFilter(ids=ranges_of(tasks))) if tasks else ()
    runs = {view.row.run for view in views if not (view.row.key or "").startswith(file_task_key(""))}
    return [RunId(run) for run in sorted(runs)]
