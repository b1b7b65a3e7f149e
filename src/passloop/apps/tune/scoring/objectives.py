"""Objectives: the value of each for a trial, which of two values is better, and the names people know them by.

A failure is no score: what did not complete, or was not measured, has no value (None), and no number stands in for it.
An objective speaks of one point; nothing is ever averaged over points. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from passloop.apps.tune.measures import MAX_LOAD, OBJECTIVES
from passloop.apps.tune.records import Document, Objective, PointResult

from .slo import measured

__all__ = ["better", "named_objective", "objective_value", "objective_values", "point_of"]


def named_objective(name: str, *, at: str | None = None) -> Objective:
    """An objective by the name that people know it by, see `measures.OBJECTIVES`. Raises `KeyError`."""
    metric, direction = OBJECTIVES[name]
    return Objective(metric=metric, at=at, direction=direction)


def point_of(points: Sequence[PointResult], at: str | None) -> PointResult | None:
    """The point of this name; without a name the only one there is, and none where there are several."""
    found = [result for result in points if at in (None, result.point.name)]
    return found[0] if len(found) == 1 else None


def objective_value(document: Document, objective: Objective) -> float | None:
    """The objective's value for a trial; None if the trial did not complete or this was not measured."""
    if document.state != "complete":
        return None
    if objective.metric == MAX_LOAD:
        found = (document.max_load or {}).get("value")
        return None if found is None else float(found)
    result = point_of(document.points, objective.at)
    return None if result is None else measured(result, objective.metric, objective.stat)


def objective_values(document: Document, objectives: Sequence[Objective]) -> tuple[float | None, ...]:
    """The values of all objectives, in their order."""
    return tuple(objective_value(document, objective) for objective in objectives)


def better(one: float, other: float, objective: Objective) -> bool:
    """Whether `one` is strictly better than `other`."""
    return one > other if objective.direction == "maximize" else one < other
