"""What a sampler is told of a trial: its state, its values, and by how much it missed what it had to keep. Pure.

A failure is a failure and has no value, so that nothing can look better than a success. A missed SLO and memory that
ran out are constraints: the trial says where the limits lie.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from passloop.apps.tune.records import Document, Objective, Params, Slo
from passloop.apps.tune.scoring.best import Scorer, ranked, score
from passloop.apps.tune.scoring.front import pareto
from passloop.apps.tune.scoring.objectives import objective_value
from passloop.apps.tune.scoring.penalty import STEEPNESS
from passloop.apps.tune.scoring.slo import checks
from passloop.apps.tune.study_view import Trial

__all__ = ["Aims", "Told", "told_of"]

UNKNOWN_EXCESS = 1.0
"""What missing a limit by an unknown amount counts: as much again as the limit."""
OUT_OF_MEMORY = "out_of_memory"


@dataclass(frozen=True, slots=True)
class Aims:
    """What a study is after."""

    objectives: Sequence[Objective]
    slo: Sequence[Slo] = ()
    scorer: Scorer = "objective"
    steepness: float = STEEPNESS

    def score(self, document: Document, objective: Objective) -> float | None:
        """A trial's value for one of the objectives; None if it is infeasible or not measured."""
        return score(document, objective, self.slo, self.scorer, steepness=self.steepness)

    def ranked(self, documents: Iterable[Document]) -> list[Document]:
        """The feasible ones, best first."""
        return ranked(documents, self.objectives, self.slo, self.scorer, steepness=self.steepness)

    def front(self, documents: Iterable[Document]) -> list[Document]:
        """The feasible ones that no other beats in every objective."""
        return pareto(documents, self.objectives, self.slo, self.scorer, steepness=self.steepness)


@dataclass(frozen=True, slots=True)
class Told:
    """One trial for a sampler. Constraints over 0 are missed."""

    params: Params
    state: Literal["running", "complete", "pruned", "failed"]
    values: tuple[float, ...] = ()
    constraints: Mapping[str, float] = field(default_factory=dict)


def told_of(trial: Trial, aims: Aims) -> Told:
    """How a trial is told. One that was cancelled or never ran says nothing: it is told as a failure."""
    if not trial.is_final:
        return Told(trial.params, "running")
    document = trial.document
    if trial.failure is not None and trial.failure.kind == OUT_OF_MEMORY:
        return Told(trial.params, "pruned", constraints={OUT_OF_MEMORY: UNKNOWN_EXCESS})
    if document is None or trial.state not in ("complete", "pruned"):
        return Told(trial.params, "failed")
    missed = _constraints(document, aims)
    values = _values(document, aims)
    if trial.state == "complete" and values:
        return Told(trial.params, "complete", values, missed)
    if any(excess > 0 for excess in missed.values()):
        return Told(trial.params, "pruned", constraints=missed)
    return Told(trial.params, "pruned" if len(aims.objectives) == 1 else "failed")


def _values(document: Document, aims: Aims) -> tuple[float, ...]:
    """The values of all objectives; empty if one was not measured."""
    found = []
    for objective in aims.objectives:
        penalised = aims.score(document, objective) if aims.scorer == "penalty" else None
        found.append(objective_value(document, objective) if penalised is None else penalised)
    known = tuple(value for value in found if value is not None)
    return known if len(known) == len(found) else ()


def _constraints(document: Document, aims: Aims) -> dict[str, float]:
    """By how much of its limit each SLO was missed at each point; the penalty scorer forgives what is not hard."""
    found: dict[str, float] = {}
    for check in checks(document.points, aims.slo):
        if document.state == "pruned" and check.excess is None:
            continue  # given up before this point: nobody knows
        if aims.scorer == "penalty" and not check.hard:
            continue
        name = f"{check.slo.metric} {check.slo.stat} at {check.at}"
        found[name] = UNKNOWN_EXCESS if check.excess is None else check.excess
    return found
