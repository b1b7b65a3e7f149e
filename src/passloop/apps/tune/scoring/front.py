"""The Pareto front: feasible trials that no other one beats in every objective. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from passloop.apps.tune.records import Document, Objective, Slo

from .best import Scorer, ranked, score
from .penalty import STEEPNESS

__all__ = ["dominates", "pareto"]


def dominates(one: Sequence[float], other: Sequence[float], objectives: Sequence[Objective]) -> bool:
    """Whether `one` is nowhere worse than `other` and somewhere better."""
    pairs = [
        (mine, its) if objective.direction == "minimize" else (-mine, -its)
        for mine, its, objective in zip(one, other, objectives, strict=True)
    ]
    return all(mine <= its for mine, its in pairs) and any(mine < its for mine, its in pairs)


def pareto(
    documents: Iterable[Document],
    objectives: Sequence[Objective],
    slo: Sequence[Slo],
    scorer: Scorer = "objective",
    *,
    steepness: float = STEEPNESS,
) -> list[Document]:
    """The non-dominated feasible trials, best in the first objective first. Trials of equal values are all there.

    A trial that lacks one of the values is not on the front. In `ranked` order nothing is beaten by what comes later.
    """
    front: list[tuple[Document, tuple[float, ...]]] = []
    for document in ranked(documents, objectives, slo, scorer, steepness=steepness):
        found = [score(document, objective, slo, scorer, steepness=steepness) for objective in objectives]
        values = tuple(value for value in found if value is not None)
        if not any(dominates(other, values, objectives) for _, other in front):
            front.append((document, values))
    return [document for document, _ in front]
