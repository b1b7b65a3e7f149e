"""A user's `rm`: forgets final tasks in the store, then deletes their folders. Live tasks are left alone, and what
the caller spares.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from passloop.kernel.changes import TasksAnswer
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import FINAL_STATES
from passloop.store.filters import TaskFilter
from passloop.store.home import Home
from passloop.store.reader import Reader

from .engine import Engine

__all__ = ["remove"]

_NONE: Mapping[int, str] = {}


async def remove(engine: Engine, tasks: Sequence[TaskId], *, spared: Mapping[int, str] = _NONE) -> TasksAnswer:
    """Remove those of these tasks that are final and that no live task waits for. The store forgets them first.

    `spared` are left, each for the reason given.
    """
    asked = [task for task in tasks if task not in spared]
    folders = await engine.read(lambda reader: _folders(reader, engine.home, asked))
    at = engine.clock.wall()
    async with engine.turns.deciding:  # else a run could go between the look at it and the commit that adds to it
        gone, seq = await engine.writer.run(lambda store: (store.remove_tasks(asked, at=at), store.last_seq))
    engine.feed.note(seq)
    removed = set(gone)
    await asyncio.to_thread(_delete, [folders[task] for task in removed if task in folders])
    left = [task for task in tasks if task not in removed]
    states = await engine.states_of(left)
    ended = {task: spared.get(task, "a live task comes after it") for task in left}
    unchanged = tuple(
        (task, ended[task] if states[task] in FINAL_STATES else f"it is {states[task]}")
        for task in left
        if task in states
    )
    return TasksAnswer(changed=tuple(task for task in tasks if task in removed), unchanged=unchanged)


def _folders(reader: Reader, home: Home, tasks: Sequence[TaskId]) -> dict[TaskId, Path]:
    if not tasks:
        return {}
    found = reader.tasks(TaskFilter(ids=tuple((task, task) for task in tasks)))
    return {TaskId(view.row.id): home.runs / str(view.row.run) / str(view.row.id) for view in found}


def _delete(folders: Iterable[Path]) -> None:
    """Delete folders; what cannot be deleted stays behind as garbage, which harms nothing but the disk."""
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
        try:
            folder.parent.rmdir()
        except OSError:
            continue  # other tasks of the run are still there
