"""When a study has had enough, and when it has to pause: functions of its trials, whatever order they are read in.

Nothing here is counted up as trials end; everything is counted anew from what the store holds.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from passloop.apps.tune.records import Document
from passloop.apps.tune.study_view import Trial

from .told import Aims

__all__ = ["Budgets", "alike", "enough", "without_gain"]

MS_PER_HOUR = 3_600_000
FINDINGS = frozenset({"out_of_memory", "slo"})
"""Failures that say something of the candidate: they are no reason to pause."""


@dataclass(frozen=True, slots=True)
class Budgets:
    """What ends a search; None is no bound. `same_failures` of 0 never pauses."""

    max_trials: int | None = None
    max_gpu_hours: float | None = None
    patience: int | None = None
    same_failures: int = 3


def enough(budgets: Budgets, trials: Sequence[Trial], aims: Aims, *, now: int) -> str | None:
    """Why no further trial is wanted, in one sentence; None if one is. `now` is engine time in ms."""
    if budgets.max_trials is not None and len(trials) >= budgets.max_trials:
        return f"max_trials: {len(trials)} trials"
    hours = gpu_ms(trials, now=now) / MS_PER_HOUR
    if budgets.max_gpu_hours is not None and hours >= budgets.max_gpu_hours:
        return f"max_gpu_hours: {hours:.2f} GPU-hours of {budgets.max_gpu_hours:g}"
    since = without_gain(trials, aims)
    if budgets.patience is not None and since >= budgets.patience:
        return f"patience: {since} trials without a gain"
    return None


def gpu_ms(trials: Sequence[Trial], *, now: int) -> int:
    """GPU-milliseconds so far, of what runs, too."""
    ended = sum(trial.gpu_ms for trial in trials)
    running = [(trial, trial.started_at) for trial in trials if trial.state == "running"]
    return ended + sum(len(trial.gpus) * max(0, now - began) for trial, began in running if began is not None)


def without_gain(trials: Sequence[Trial], aims: Aims) -> int:
    """How many trials have ended since the last one that was the best (or on the front) when it ended.

    Before the first feasible trial there is nothing to gain on, and none is counted.
    """
    since = 0
    before: list[Document] = []
    for trial in _ended(trials):
        found = [*before, trial.document] if trial.document is not None else before
        if trial.document is not None and _gains(before, found, trial.document, aims):
            since = 0
        elif _best(before, aims):
            since += 1
        before = found
    return since


def alike(trials: Sequence[Trial], count: int) -> Sequence[Trial]:
    """The last `count` trials that ended, if all of them failed in the same way; else none."""
    last = _ended(trials)[-count:] if count else []
    if len(last) < count or not last:
        return ()
    ways = {_way(trial) for trial in last}
    return tuple(last) if len(ways) == 1 and None not in ways else ()


def _way(trial: Trial) -> tuple[str, str] | None:
    """How a trial failed, without the numbers in its words (ports, sizes, times); None if it did not."""
    failure = trial.failure
    if trial.state != "failed" or failure is None or failure.kind in FINDINGS:
        return None
    return failure.kind, re.sub(r"\d+(\.\d+)?", "#", failure.message)


def _ended(trials: Sequence[Trial]) -> list[Trial]:
    ended = [trial for trial in trials if trial.state in ("complete", "pruned", "failed")]
    return sorted(ended, key=lambda trial: (trial.ended_at or 0, trial.task))


def _best(documents: Sequence[Document], aims: Aims) -> Sequence[Document]:
    if len(aims.objectives) > 1:
        return aims.front(documents)
    return aims.ranked(documents)[:1]


def _gains(before: Sequence[Document], found: Sequence[Document], new: Document, aims: Aims) -> bool:
    return new in _best(found, aims) and new not in before
