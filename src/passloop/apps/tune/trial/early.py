"""Whether a candidate is worth its remaining points. Pure: the same results give the same answer.

Points go from low load to high, so that what is missed at a low one is a lower bound of what the others would show:
latencies do not fall and shares of good requests do not rise with load, and throughput grows at most with the load.
Measurements scatter, so a bound has to be worse than the best by a margin. The baseline (trial 0) is always measured
whole, since every gain is told against it.
"""

from __future__ import annotations

from collections.abc import Sequence

from passloop.apps.tune.measures import MEASURES
from passloop.apps.tune.records import Objective, Order, Point, PointResult
from passloop.apps.tune.scoring.objectives import better, point_of
from passloop.apps.tune.scoring.slo import judge_point, measured

__all__ = ["MARGIN", "cheap_first", "gave_up", "why_stop"]

MARGIN = 0.1
"""By how much (share) a bound has to be worse than the best."""


def cheap_first(points: Sequence[Point]) -> list[Point]:
    """The points in the order in which they are measured: closed loops before open ones, low load before high."""
    return sorted(points, key=lambda point: (point.concurrency is None, _level(point), point.requests * point.repeats))


def gave_up(result: PointResult) -> str | None:
    """Why the client gave the point up, if it did; its figures are then of a part only."""
    if result.stopped is None:
        return None
    share = f" ({result.errors} of {result.requests} requests failed)" if result.errors else ""
    return f"gave up at {result.point.name}: {result.stopped}{share}"


def why_stop(order: Order, results: Sequence[PointResult], remaining: Sequence[Point]) -> str | None:
    """One sentence on why the remaining points are not worth measuring; None if they are."""
    if not results or not remaining or not order.stop_early or order.trial == 0:
        return None
    latest = results[-1]
    return _misses_a_limit(order, latest) or _saturates(latest, remaining) or _cannot_win(order, results, remaining)


def _misses_a_limit(order: Order, latest: PointResult) -> str | None:
    violations = judge_point(latest, order.slo).violations
    counted = [check for check in violations if check.hard or order.scorer == "objective"]
    return f"misses its SLO: {counted[0]}" if counted else None


def _saturates(latest: PointResult, remaining: Sequence[Point]) -> str | None:
    if latest.saturated and all(_comparable(latest.point, point) for point in remaining):
        return f"is saturated at {latest.point.name}"
    return None


def _cannot_win(order: Order, results: Sequence[PointResult], remaining: Sequence[Point]) -> str | None:
    """Only where there is one objective: beside several, being worse in one is no defeat."""
    if order.best is None or len(order.objectives) != 1:
        return None
    objective = order.objectives[0]
    bound = _bound(objective, results, remaining)
    if bound is None or not better(order.best, _eased(bound, objective), objective):
        return None
    words = "at most" if objective.direction == "maximize" else "at least"
    return (
        f"cannot beat the best: {objective.metric} {objective.stat} {words} {bound:.4g}, the best is {order.best:.4g}"
    )


def _bound(objective: Objective, results: Sequence[PointResult], remaining: Sequence[Point]) -> float | None:
    """The best value that the objective can still get; None where nothing is known about it."""
    there = point_of(results, objective.at) if objective.at is not None or not remaining else None
    if there is not None:
        return measured(there, objective.metric, objective.stat)
    target = next((point for point in remaining if point.name == objective.at), None)
    if target is None:
        return None
    found = [_bound_from(result, target, objective) for result in results if _comparable(result.point, target)]
    known = [bound for bound in found if bound is not None]
    if not known:
        return None
    return min(known) if objective.direction == "maximize" else max(known)


def _bound_from(result: PointResult, target: Point, objective: Objective) -> float | None:
    measure = MEASURES.get(objective.metric)
    value = measured(result, objective.metric, objective.stat)
    if measure is None or value is None or measure.better != objective.direction:
        return None
    return value * _level(target) / _level(result.point) if measure.unit == "rate" else value


def _eased(bound: float, objective: Objective) -> float:
    """The bound as it would be if this measurement were unlucky."""
    return bound + abs(bound) * MARGIN * (1 if objective.direction == "maximize" else -1)


def _comparable(lower: Point, higher: Point) -> bool:
    """Whether the second loads at least as much as the first, in the same manner."""
    return (lower.concurrency is None) == (higher.concurrency is None) and _level(lower) <= _level(higher)


def _level(point: Point) -> float:
    return float(point.concurrency if point.concurrency is not None else point.rate or 0.0)
