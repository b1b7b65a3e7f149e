"""Gathers what a report of a run shows from the store: the tasks that stand now, their attempts, last log lines.

A sweep that was submitted again is one sweep: its submissions belong together (`same_sweep.py`), and of each key the
newest task counts. Reads only, with or without an engine.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from passloop.engine.errors import NotFound
from passloop.kernel.tasks import AttemptRow
from passloop.store.artifacts import attempt_directory, open_artifact
from passloop.store.errors import ArtifactRefused
from passloop.store.filters import TaskFilter
from passloop.store.home import Home
from passloop.store.reader import Reader, RunView, TaskView

from .report import Report, build_report
from .same_sweep import is_sweep, runs_of_sweep
from .views import shown_task

__all__ = ["gather"]

LOG_LINES = 20
LOG_BYTES = 16_384


def gather(reader: Reader, home: Home, name: str, *, made_at: int, logs: bool = True) -> Report:
    """The report of the run called `name` (`digits`, `@digits`, `12` or `last`) at wall time `made_at` in ms. Without
    `logs` the last lines of failed tasks are left out.

    Raises `NotFound` for a run that is not there or has no tasks left.
    """
    run = _run(reader, name)
    together = runs_of_sweep(run, reader) if is_sweep(run) else [run]
    tasks = reader.tasks(TaskFilter(runs=tuple(one.row.id for one in together)))
    if not tasks:
        raise NotFound(f"run {run.row.id} has no tasks left", hint="passloop ls")
    standing = _standing(tasks)
    attempts: defaultdict[int, list[AttemptRow]] = defaultdict(list)
    for number in {task.row.run for task in tasks}:
        for attempt in reader.run_attempts(number):
            attempts[attempt.task].append(attempt)
    shown = {task.row.id: _shown(task, attempts[task.row.id], home) for task in tasks}
    replaced = [shown[task] for task in shown if task not in standing]
    now = [shown[task] for task in shown if task in standing]
    return build_report(now, made_at=made_at, log_of=_last_lines if logs else None, run=run.row.id, replaced=replaced)


def _run(reader: Reader, name: str) -> RunView:
    newest = reader.runs(limit=1) if name == "last" else []
    run = newest[0] if newest else reader.run(name.removeprefix("@"))
    if run is None:
        raise NotFound(f"there is no run {name!r}", hint="passloop ls")
    return run


def _standing(tasks: Iterable[TaskView]) -> set[int]:
    """Of each key the newest task; of tasks without one those that were not retried."""
    ordered = sorted(tasks, key=lambda task: task.row.id)
    there = {task.row.id for task in ordered}
    newest = {task.row.key: task.row.id for task in ordered}
    return {
        task.row.id
        for task in ordered
        if (newest[task.row.key] == task.row.id if task.row.key else task.row.retried_by not in there)
    }


def _shown(task: TaskView, attempts: list[AttemptRow], home: Home) -> dict[str, Any]:
    row = task.row
    folders = {one.epoch: str(attempt_directory(home, run=row.run, task=row.id, epoch=one.epoch)) for one in attempts}
    return shown_task(task, attempts, folders=folders)


def _last_lines(task: Any) -> str:
    """The end of what the task wrote: of stderr, or of stdout if that is empty."""
    if task["directory"] is None:
        return ""
    for name in ("stderr.log", "stdout.log"):
        text = _tail(Path(task["directory"]), name).strip("\n")
        if text:
            return "\n".join(text.split("\n")[-LOG_LINES:])
    return ""


def _tail(folder: Path, name: str) -> str:
    try:
        descriptor = open_artifact(folder, name)
    except ArtifactRefused:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        file.seek(max(0, os.fstat(descriptor).st_size - LOG_BYTES))
        return file.read(LOG_BYTES).decode("utf-8", errors="replace")
