"""A selection -> the store's filter: looks up run names and the newest task. Reads only; exit 3 if there is
none.
"""

from __future__ import annotations

from passloop.apps.text import shown
from passloop.engine.errors import NotFound
from passloop.store.filters import TaskFilter
from passloop.store.reader import Reader

from .selectors import Selection

__all__ = ["filter_of", "require_ids", "run_id_of"]


def filter_of(selection: Selection, reader: Reader, *, before: int | None = None) -> TaskFilter:
    """The filter of `selection`. Raises `NotFound` for a run that is not there, or `last` without any task."""
    ids = selection.ids
    if selection.last:
        newest = reader.last_task()
        if newest is None:
            raise NotFound("there are no tasks yet", hint="passloop submit -- COMMAND")
        ids = (*ids, (newest, newest))
    return TaskFilter(
        ids=ids,
        runs=tuple(run_id_of(name, reader) for name in selection.runs),
        states=selection.states,
        classes=selection.classes,
        keys=selection.keys,
        groups=selection.groups,
        before=before,
    )


def run_id_of(name: str, reader: Reader) -> int:
    """The id of the run with this id, or of the newest with this name. Raises `NotFound`."""
    run = reader.run(name)
    if run is None:
        raise NotFound(f"there is no run {shown(name)}", hint="passloop ls")
    return run.row.id


def require_ids(selection: Selection, reader: Reader) -> list[int]:
    """The ids of the tasks selected, ascending. Raises `NotFound` when a task that was named by id is not there."""
    wanted = filter_of(selection, reader)
    single = [low for low, high in wanted.ids if low == high]
    if single:
        there = set(reader.task_ids(TaskFilter(ids=tuple((one, one) for one in single))))
        missing = [one for one in single if one not in there]
        if missing:
            raise NotFound(f"there is no task {missing[0]}", hint="passloop ls")
    return reader.task_ids(wanted)
