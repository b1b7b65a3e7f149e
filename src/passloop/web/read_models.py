"""Reads for the routes: each is one function of a `Reader`, run in a reading thread, and gives a JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from passloop.apps.queue import views
from passloop.apps.queue.find import filter_of, require_ids, run_id_of
from passloop.apps.queue.selectors import parse_selectors
from passloop.engine.attempts import attempt_folder
from passloop.engine.errors import NotFound
from passloop.kernel.ids import TaskId
from passloop.store.filters import TaskFilter
from passloop.store.home import Home
from passloop.store.reader import Reader, TaskView

__all__ = ["listed", "log_file", "run_named", "runs", "select", "shown", "standing"]

Json = dict[str, Any]


def select(reader: Reader, words: Sequence[str]) -> list[TaskId]:
    """The tasks that these selectors name. Raises `SpecError`, `NotFound`."""
    return [TaskId(task) for task in require_ids(parse_selectors(words), reader)]


def listed(reader: Reader, words: Sequence[str], *, limit: int | None, before: int | None) -> Json:
    """The newest `limit` tasks selected, oldest first, and how many there are in all."""
    selection = parse_selectors(words)
    wanted = filter_of(selection, reader, before=before)
    found = reader.tasks(wanted, limit=-1 if limit is None else limit)
    total = len(found) if limit is None else reader.count(filter_of(selection, reader))
    return views.document(tasks=[views.task_view(task) for task in found], total=total)


def shown(reader: Reader, task: int, home: Home) -> Json:
    """One task with its attempts."""
    view = _task(reader, task)
    attempts = reader.attempts(task)
    folders = {one.epoch: str(attempt_folder(home, view.row.run, task, one.epoch)) for one in attempts}
    return views.document(task=views.shown_task(view, attempts, folders=folders))


def log_file(reader: Reader, task: int, home: Home, *, stream: str, attempt: int | None) -> Path:
    """Where an attempt's output is; the latest attempt's unless one is named."""
    view = _task(reader, task)
    epoch = view.row.attempts if attempt is None else attempt
    if not 1 <= epoch <= view.row.attempts:
        raise NotFound(f"task {task} has no attempt {epoch}", hint=f"passloop show {task}")
    return attempt_folder(home, view.row.run, task, epoch) / f"{stream}.log"


def standing(reader: Reader, tasks: Sequence[TaskId]) -> list[Json]:
    """How these tasks stand, in short."""
    if not tasks:
        return []
    return [
        {
            "id": view.row.id,
            "state": view.row.state.value,
            "exit_code": view.row.exit_code,
            "outcome": view.row.outcome.value if view.row.outcome is not None else None,
        }
        for view in reader.tasks(TaskFilter(ids=tuple((task, task) for task in tasks)))
    ]


def runs(reader: Reader, *, limit: int | None) -> Json:
    """The newest runs, newest first."""
    found = reader.runs(limit=-1 if limit is None else limit)
    return views.document(runs=[views.run_view(run) for run in found])


def run_named(reader: Reader, name: str) -> Json:
    """One run, by id or by name."""
    found = reader.run(str(run_id_of(name, reader)))
    if found is None:
        raise NotFound(f"there is no run {name}", hint="passloop ls")
    return views.document(run=views.run_view(found))


def _task(reader: Reader, task: int) -> TaskView:
    view = reader.task(task)
    if view is None:
        raise NotFound(f"there is no task {task}", hint="passloop ls")
    return view
