"""The last task of a dataset's run: it writes the files from what is committed, so that a run that nobody follows any
more has them too. It is a task like others: it survives the engine, and it says so if the files cannot be written.

This file says what the task is and sees to it that each run gets one; `files.py` is what it runs.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from passloop.engine.engine import Engine
from passloop.engine.errors import EngineStopped, Refused, Unwritable
from passloop.kernel.events import Submitted
from passloop.kernel.ids import RunId, TaskId
from passloop.kernel.resources import Request, Variant
from passloop.kernel.source_rows import SourceState
from passloop.kernel.tasks import Dependency, NewTask, TaskSpec
from passloop.store.filters import TaskFilter

from .declaring import file_task_key, makes_files
from .expander import KIND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from passloop.store.reader import Reader
    from passloop.store.sources import SourceView

__all__ = ["FileTasks"]

PROGRAM = "passloop.apps.generate.files"
_KEY = file_task_key("")


class FileTasks:
    """Gives each run of a dataset its last task, once all its cells are final. All is called on the loop."""

    def __init__(self, engine: Engine, *, home: str) -> None:
        self._engine = engine
        self._home = home
        self._waiting: dict[RunId, asyncio.Task[None]] = {}

    async def start(self) -> None:
        """Follow the runs of earlier engines that have no such task yet."""
        for run in await self._engine.read(lambda reader: reader.sources_without(KIND, _KEY)):
            self.follow(RunId(run))

    async def stop(self) -> None:
        """Give up waiting; the next engine goes on."""
        waiting = list(self._waiting.values())
        for each in waiting:
            each.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)

    def follow(self, run: RunId) -> None:
        """See to it that a run gets its last task."""
        if run not in self._waiting:
            task = asyncio.get_running_loop().create_task(self._see_to(run), name=f"passloop-files-{run}")
            self._waiting[run] = task
            task.add_done_callback(partial(self._forget, run))

    async def again(self, cells: Sequence[TaskId]) -> None:
        """After a retry: a run that had its last task gets one more, for when these cells are final. Durable when it
        returns; raises as `Engine.submit` does.
        """
        for run in await self._engine.read(lambda reader: _written_runs(reader, cells)):
            after = (*run.cells, run.last)
            key = file_task_key(f"{run.source.row.run}:{run.cells[0]}")
            await self._engine.submit(self._submission(run.source, key=key, after=after))

    async def wait(self, run: RunId) -> None:
        """Wait until a run that is over has its last task, if it is to have one."""
        task = self._waiting.get(run)
        if task is not None:
            await asyncio.wait({task})

    def _forget(self, run: RunId, _task: asyncio.Task[None]) -> None:
        self._waiting.pop(run, None)

    async def _see_to(self, run: RunId) -> None:
        with suppress(EngineStopped, Refused, Unwritable):  # the next engine tries again
            await self._engine.wait_source(run)
            source = await self._engine.read(lambda reader: reader.source(run))
            if source is not None and source.row.state is not SourceState.CANCELLED and makes_files(source.spec):
                await self._engine.submit(self._submission(source, key=file_task_key(run)))

    def _submission(self, source: SourceView, *, key: str, after: Sequence[int] = ()) -> Submitted:
        """The task: it asks for nothing, so that it does not wait behind work that fills the box. It comes after the
        ends of other tasks, whatever these are.
        """
        row = source.row
        told = json.loads(source.spec)
        command = [sys.executable, "-m", PROGRAM, self._home, str(row.run)]
        payload = {"name": "files", "params": {}, "command": command, "cwd": told["cwd"], "env": {}}
        name = f"generate {told['spec']['generate']} files"
        spec = TaskSpec(Request((Variant(),)), task_class=name, program="generate")
        waits = tuple(Dependency(TaskId(task), any_end=True) for task in after)
        task = NewTask(spec, json.dumps(payload), key=key, after=waits)
        return Submitted(name="", run=row.run, group=row.group, priority=row.priority, tasks=(task,))


class _Written(NamedTuple):
    """A run whose last task is there, and cells of it that came after."""

    source: SourceView
    last: int
    cells: tuple[int, ...]


def _written_runs(reader: Reader, tasks: Sequence[TaskId]) -> list[_Written]:
    """The runs of datasets that these cells belong to, but for those that are to get their last task yet."""
    by_run: dict[int, list[int]] = {}
    for view in reader.tasks(TaskFilter(ids=tuple((task, task) for task in tasks))) if tasks else ():
        if not (view.row.key or "").startswith(_KEY):
            by_run.setdefault(view.row.run, []).append(view.row.id)
    found = []
    for run, cells in by_run.items():
        source, key = reader.source(run), file_task_key(run)
        last = reader.keyed([key]).get(key)
        if source is not None and source.row.kind == KIND and last is not None:
            found.append(_Written(source, last.task, tuple(cells)))
    return found
