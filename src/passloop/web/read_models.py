"""Reads for the routes: each is one function of a `Reader`, run in a reading thread, and gives a JSON document."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from passloop.apps.queue import views
from passloop.apps.queue.find import filter_of, require_ids, run_id_of, sources_in
from passloop.apps.queue.selectors import parse_selectors
from passloop.engine.attempts import attempt_folder
from passloop.engine.errors import NotFound
from passloop.kernel.ids import TaskId
from passloop.kernel.source_rows import SourceRow
from passloop.kernel.source_status import SourceStatus
from passloop.store.filters import TaskFilter, ranges_of
from passloop.store.home import Home
from passloop.store.reader import NEWEST, Reader, RunView, TaskView

__all__ = [
    "LogFile",
    "attempt_place",
    "chosen",
    "listed",
    "log_file",
    "run_named",
    "run_view_of",
    "runs",
    "select",
    "shown",
    "standing",
    "task_of",
]

Json = dict[str, Any]
LOOKED_UP = 1_000


def select(reader: Reader, words: Sequence[str]) -> list[TaskId]:
    """The tasks that these selectors name. Raises `SpecError`, `NotFound`."""
    return [TaskId(task) for task in require_ids(parse_selectors(words), reader)]


def select_whole(reader: Reader, words: Sequence[str], *, over: bool = False) -> tuple[list[TaskId], list[SourceRow]]:
    """The tasks that these selectors name, and the sources of runs that they name whole and that have tasks to come;
    with `over` those that have none, too. Raises as `select`.
    """
    selection = parse_selectors(words)
    return [TaskId(task) for task in require_ids(selection, reader)], sources_in(selection, reader, over=over)


def listed(reader: Reader, words: Sequence[str], *, limit: int, before: int | None) -> Json:
    """The newest `limit` tasks selected, oldest first, and how many there are in all."""
    selection = parse_selectors(words)
    found = reader.tasks(filter_of(selection, reader, before=before), limit=limit)
    total = reader.count(filter_of(selection, reader))
    return views.document(tasks=[views.task_view(task) for task in found], total=total)


def chosen(reader: Reader, words: Sequence[str], *, limit: int | None, before: int | None) -> tuple[Sequence[int], int]:
    """Ids of the newest `limit` tasks selected (None: of all), ascending, and how many there are in all."""
    selection = parse_selectors(words)
    ids = reader.task_ids(filter_of(selection, reader, before=before))
    if limit is None:
        return ids, len(ids)
    return ids[max(0, len(ids) - limit) :], reader.count(filter_of(selection, reader))


def shown(reader: Reader, task: int, home: Home) -> Json:
    """One task with its attempts."""
    view = task_of(reader, task)
    attempts = reader.attempts(task)
    folders = {one.epoch: str(attempt_folder(home, view.row.run, task, one.epoch)) for one in attempts}
    return views.document(task=views.shown_task(view, attempts, folders=folders))


class LogFile(NamedTuple):
    """Where an attempt's output is, and whether it is the latest attempt."""

    path: Path
    is_latest: bool


def log_file(reader: Reader, task: int, home: Home, *, stream: str, attempt: int | None) -> LogFile:
    """Where an attempt's output is; the latest attempt's unless one is named."""
    folder, is_latest = attempt_place(reader, task, home, attempt)
    return LogFile(folder / f"{stream}.log", is_latest)


def attempt_place(reader: Reader, task: int, home: Home, attempt: int | None) -> tuple[Path, bool]:
    """The folder of an attempt (None: of the latest), and whether it is the latest. Raises `NotFound`."""
    view = task_of(reader, task)
    epoch = view.row.attempts if attempt is None else attempt
    if not 1 <= epoch <= view.row.attempts:
        raise NotFound(f"task {task} has no attempt {epoch}", hint=f"passloop show {task}")
    return attempt_folder(home, view.row.run, task, epoch), epoch == view.row.attempts


def standing(reader: Reader, tasks: Sequence[TaskId]) -> list[Json]:
    """How these tasks stand, in short. Looked up some at a time: a whole row of each takes far more room."""
    pieces = (tasks[at : at + LOOKED_UP] for at in range(0, len(tasks), LOOKED_UP))
    return [_stands(view) for piece in pieces for view in reader.tasks(TaskFilter(ids=ranges_of(piece)))]


def _stands(view: TaskView) -> Json:
    row = view.row
    outcome = row.outcome.value if row.outcome is not None else None
    return {"id": row.id, "state": row.state.value, "exit_code": row.exit_code, "outcome": outcome}


def runs(reader: Reader, *, limit: int | None, before: int | None = None) -> Json:
    """The newest runs with an id under `before`, newest first."""
    found = reader.runs(limit=-1 if limit is None else limit, before=NEWEST if before is None else before)
    return views.document(runs=[views.run_view(run) for run in found])


def run_named(reader: Reader, name: str) -> Json:
    """One run, by id or by name."""
    return views.document(run=views.run_view(run_view_of(reader, name)))


def run_view_of(reader: Reader, name: str) -> RunView:
    """One run, by id or by name. Raises `NotFound`."""
    found = reader.run(str(run_id_of(name, reader)))
    if found is None:
        raise NotFound(f"there is no run {name}", hint="passloop ls")
    return found


def source_status(run: int, statuses: Iterable[SourceStatus]) -> Json:
    """What the machine holds of a run's source, and why it asks for no more; of one that is over, nothing."""
    for status in statuses:
        if status.row.run == run:
            blockers = [views.blocker_view(blocker) for blocker in status.blockers]
            return {"unfinished": status.units, "bytes": status.bytes, "blockers": blockers}
    return {"unfinished": 0, "bytes": 0, "blockers": []}


def task_of(reader: Reader, task: int) -> TaskView:
    """One task. Raises `NotFound`."""
    view = reader.task(task)
    if view is None:
        raise NotFound(f"there is no task {task}", hint="passloop ls")
    return view
