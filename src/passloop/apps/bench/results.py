"""What came of each planned cell: read from the tree of results, or from the tasks of the store. Both give the same.

A cell that runs holds the lock of its folder, so that the tree alone can tell that, too.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .attempt_log import latest_error
from .cell_folder import LOCK, METRICS, SAMPLES, state_of
from .durable import read_json
from .errors import ErrorClass
from .planned import Planned, PlannedCell
from .policy import class_of_outcome
from .samples import answers_of
from .seen import seen_figures

__all__ = ["SKIPPED", "CellResult", "counts_of", "error_of_task", "results_of_tasks", "results_of_tree"]

SKIPPED = "skipped"
SKIP_WORD = f"{SKIPPED}: "
STATUSES = ("done", "failed", "skipped", "running", "pending")
CLASSES = frozenset(map(str, ErrorClass))
STATES = {"succeeded": "done", "running": "running", "stopping": "running"}
FAILED = frozenset({"failed", "rejected", "aborted", "cancelled"})


@dataclass(frozen=True, slots=True)
class CellResult:
    """One cell. `status` is done, failed, skipped, running or pending; `error_class` and `message` say why it failed.

    `done` is what DONE.json says (empty without a tree); `scores` the score of each sample that has one, by its name.
    """

    cell: PlannedCell
    status: str
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error_class: str = ""
    message: str = ""
    done: Mapping[str, Any] = field(default_factory=dict)
    scores: tuple[float, ...] = ()


def results_of_tree(planned: Planned, root: Path) -> list[CellResult]:
    """Every planned cell by what lies in the tree at `root`."""
    return [_of_folder(cell, root / cell.path) for cell in planned.cells]


def results_of_tasks(planned: Planned, tasks: Iterable[Mapping[str, Any]]) -> list[CellResult]:
    """Every planned cell by the newest of its tasks, in the JSON shape of `ls --json`."""
    newest: dict[str, Mapping[str, Any]] = {}
    for task in sorted(tasks, key=lambda each: int(each["id"])):
        cell = (task.get("params") or {}).get("cell")
        if isinstance(cell, str) and newest.get(cell, {}).get("state") != "succeeded":
            newest[cell] = task
    return [_of_task(cell, newest.get(cell.cell)) for cell in planned.cells]


def _of_folder(cell: PlannedCell, folder: Path) -> CellResult:
    if not folder.exists():
        return CellResult(cell, "pending")
    state = state_of(folder, cell.cell)
    if state.complete:
        metrics = read_json(folder / METRICS)
        answers = sorted(answers_of(folder / SAMPLES), key=lambda each: each.sample)
        scores = tuple(each.score for each in answers if each.score is not None)
        done = _with_seen(state.done, folder)
        return CellResult(cell, "done", metrics if isinstance(metrics, dict) else {}, done=done, scores=scores)
    if _is_locked(folder):
        return CellResult(cell, "running")
    error = latest_error(folder)
    if error is None:
        return CellResult(cell, "pending")
    status = SKIPPED if error.get("class") == SKIPPED else "failed"
    return CellResult(cell, status, error_class=str(error.get("class")), message=str(error.get("message")))


def _with_seen(done: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """What DONE.json says, with what the engine saw of that attempt among its figures."""
    seen = seen_figures(folder, done.get("attempt"))
    return {**done, "usage": {**(done.get("usage") or {}), **seen}} if seen else done


def _is_locked(folder: Path) -> bool:
    """Whether a process works in the folder now."""
    try:
        descriptor = os.open(folder.parent / f".{folder.name}{LOCK}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _of_task(cell: PlannedCell, task: Mapping[str, Any] | None) -> CellResult:
    if task is None:
        return CellResult(cell, "pending")
    state, message = str(task["state"]), str(task.get("message") or "")
    if state == "succeeded":
        results = task.get("results")
        return CellResult(cell, "done", results if isinstance(results, dict) else {"result": results})
    if state in FAILED:
        found, sentence = error_of_task(task)
        return CellResult(cell, SKIPPED if found == SKIPPED else "failed", error_class=found, message=sentence)
    return CellResult(cell, STATES.get(state, "pending"), message=message)


def error_of_task(task: Mapping[str, Any]) -> tuple[str, str]:
    """Class and sentence of a task that did not succeed, by its own word where it left one, else by its outcome."""
    message = str(task.get("message") or "")
    if task["state"] == "rejected":
        return "config", message
    own = _own_word(task)
    if own is not None:
        return own
    return str(class_of_outcome("cancelled" if task["state"] == "cancelled" else task.get("outcome"))), message


def _own_word(task: Mapping[str, Any]) -> tuple[str, str] | None:
    """Class and sentence of a task that did not succeed, if it could say so itself."""
    message = str(task.get("message") or "")
    if message.startswith(SKIP_WORD):
        return SKIPPED, message.removeprefix(SKIP_WORD)
    said, colon, sentence = message.partition(": ")
    word = said.split(" ")[0]
    return (word, sentence) if colon and said.endswith(")") and word in CLASSES else None


def counts_of(results: Sequence[CellResult]) -> dict[str, int]:
    """Cells by status; they always add up to `total`."""
    counts = dict.fromkeys(STATUSES, 0)
    for each in results:
        counts[each.status] += 1
    return {**counts, "total": len(results)}
