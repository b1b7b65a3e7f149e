"""The best trial: a query over finished feasible trials, never a variable that two ends could race for.

Of equal ones the lowest number is the best, whatever order they ended in. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from passloop.apps.tune.records import Document, Objective, Slo

from .objectives import objective_value
from .penalty import STEEPNESS, penalised
from .slo import judge

__all__ = ["Scorer", "best_trial", "ranked", "score"]

Scorer = Literal["objective", "penalty"]
"""`objective`: a missed SLO is infeasible. `penalty`: it makes the value worse, and only a hard one is infeasible."""


def score(
    document: Document,
    objective: Objective,
    slo: Sequence[Slo],
    scorer: Scorer = "objective",
    *,
    steepness: float = STEEPNESS,
) -> float | None:
    """A trial's value for one objective, in its own direction; None if it is infeasible, failed or not measured."""
    if scorer == "penalty":
        return penalised(document, objective, slo, steepness=steepness)
    return objective_value(document, objective) if judge(document, slo).feasible else None


def ranked(
    documents: Iterable[Document],
    objectives: Sequence[Objective],
    slo: Sequence[Slo],
    scorer: Scorer = "objective",
    *,
    steepness: float = STEEPNESS,
) -> list[Document]:
    """Feasible trials, best first: by the first objective, then by the next, then by number."""
    keyed = []
    for document in documents:
        values = [
            _key(score(document, objective, slo, scorer, steepness=steepness), objective) for objective in objectives
        ]
        known = tuple(value for value in values if value is not None)
        if values and len(known) == len(values):
            keyed.append(((*known, document.trial), document))
    return [document for _, document in sorted(keyed, key=lambda pair: pair[0])]


def best_trial(
    documents: Iterable[Document],
    objectives: Sequence[Objective],
    slo: Sequence[Slo],
    scorer: Scorer = "objective",
    *,
    steepness: float = STEEPNESS,
) -> Document | None:
    """The best of them; None if none is feasible."""
    return next(iter(ranked(documents, objectives, slo, scorer, steepness=steepness)), None)


def _key(value: float | None, objective: Objective) -> float | None:
    return value if value is None or objective.direction == "minimize" else -value
