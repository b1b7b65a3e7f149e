"""Which runs are one sweep: those of one name whose cells are the same work, so that a cell of one may stand for that
of another. Reads only.

A name alone does not say it: a command that was edited, or the same name in another project, is another sweep, whose
results must not be averaged with these nor its tasks be cancelled with these. Each kind of run tells in `about` what
decides it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from passloop.store.filters import TaskFilter
from passloop.store.reader import Reader, RunView

from .views import run_view, task_view

__all__ = ["is_sweep", "runs_of_sweep"]

DECIDED_BY = {"run": "work", "bench": "out", "tune": "study"}


def is_sweep(run: RunView) -> bool:
    """Whether a run is one of several that may be one thing to people."""
    return "axes" in _about(run)


def runs_of_sweep(run: RunView, reader: Reader) -> list[RunView]:
    """All submissions of the sweep of which `run` is one, newest first."""
    told = _about(run)
    decides = DECIDED_BY.get(str(told.get("kind")), "")
    named = [other for other in reader.runs() if other.row.name == run.row.name and is_sweep(other)]
    alike = [other for other in named if _about(other).get("kind") == told.get("kind")]
    place = _place(run, reader) or _newest_place(alike, told.get("command"), reader)

    def is_same(other: RunView) -> bool:
        theirs = _about(other)
        if decides in told and decides in theirs:
            return bool(theirs[decides] == told[decides])
        # One of them is from before `work` was kept: as far as can be told, by its command and where it ran.
        return theirs.get("command") == told.get("command") and _place(other, reader) in (place, None)

    return list(filter(is_same, alike))


def _newest_place(runs: Iterable[RunView], command: object, reader: Reader) -> str | None:
    """Where a submission ran that has no task to tell it, because all its cells were there: where those of it did."""
    places = (_place(other, reader) for other in runs if _about(other).get("command") == command)
    return next(filter(None, places), None)


def _place(run: RunView, reader: Reader) -> str | None:
    """The directory in which the tasks of a run start; None if nothing tells it."""
    told = _about(run).get("cwd")
    if told is None:
        newest = reader.tasks(TaskFilter(runs=(run.row.id,)), limit=1)
        told = task_view(newest[0])["cwd"] if newest else None
    return None if told is None else str(told)


def _about(run: RunView) -> dict[str, Any]:
    about: dict[str, Any] = run_view(run)["about"]
    return about
