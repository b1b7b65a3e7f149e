"""SLOs: whether what was measured keeps the limits, by how much it misses them, and what one request has to keep.

A metric that was not measured misses its limit: nothing is good because it is unknown. Nothing is averaged over points;
a limit without a point holds at each of them. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from passloop.apps.tune.records import Document, PointResult, Slo

__all__ = ["LATENCIES", "Check", "Judgement", "checks", "judge", "judge_point", "measured", "request_limits"]

LATENCIES = ("ttft", "tpot", "e2e")
"""What each request has of its own, so that a limit on it can be asked of each request."""


class Check(NamedTuple):
    """One limit at one point. `excess` is by how much of the limit it is missed: over 0 is missed, 0 or less is kept.

    `actual` and `excess` are None if it was not measured. For a limit of 0 the excess is the value itself.
    """

    slo: Slo
    at: str
    actual: float | None
    excess: float | None

    @property
    def kept(self) -> bool:
        """Whether the limit is kept."""
        return self.excess is not None and self.excess <= 0

    @property
    def hard(self) -> bool:
        """Whether it is missed by so much that no penalty can make up for it: infeasible whatever the scorer."""
        if self.excess is None:
            return True
        return self.slo.hard_fail and self.excess > self.slo.fail_ratio

    def __str__(self) -> str:
        limit = f"at most {self.slo.most:g}" if self.slo.most is not None else f"at least {self.slo.least or 0:g}"
        found = "not measured" if self.actual is None else f"{self.actual:.4g}"
        return f"{self.slo.metric} {self.slo.stat} at {self.at} is {found}, {limit} allowed"


class Judgement(NamedTuple):
    """Whether all limits are kept, and those that are not."""

    feasible: bool
    violations: tuple[Check, ...]


def measured(result: PointResult, metric: str, stat: str) -> float | None:
    """A statistic of a metric at a point; None if there is none, or the point was given up before its end."""
    return None if result.stopped else result.metrics.get(metric, {}).get(stat)


def checks(points: Sequence[PointResult], slo: Sequence[Slo]) -> Iterator[Check]:
    """Each limit at each point where it holds; at a point that is named and was not measured it is missed."""
    for limit in slo:
        there = [result for result in points if limit.at in (None, result.point.name)]
        for result in there:
            yield _check(limit, result.point.name, measured(result, limit.metric, limit.stat))
        if not there:
            yield Check(limit, limit.at or "no point", None, None)


def judge_point(result: PointResult, slo: Sequence[Slo]) -> Judgement:
    """One point against the limits that hold there."""
    here = [limit for limit in slo if limit.at in (None, result.point.name)]
    missed = tuple(check for check in checks([result], here) if not check.kept)
    return Judgement(not missed and result.stopped is None, missed)


def judge(document: Document, slo: Sequence[Slo]) -> Judgement:
    """A trial against all limits. A trial that failed, was given up or measured nothing is never feasible."""
    missed = tuple(check for check in checks(document.points, slo) if not check.kept)
    whole = document.state == "complete" and bool(document.points)
    return Judgement(whole and not missed and not any(point.stopped for point in document.points), missed)


def request_limits(slo: Sequence[Slo], at: str) -> Mapping[str, float]:
    """What each request has to keep at a point: latency -> most ms.

    An SLO speaks of a statistic; of each request it asks its limit. Of several on one latency the widest counts: a mean
    of 200 ms beside a p99 of 800 ms allows a single request 800 ms.
    """
    found: dict[str, float] = {}
    for limit in slo:
        if limit.metric in LATENCIES and limit.most is not None and limit.at in (None, at):
            found[limit.metric] = max(limit.most, found.get(limit.metric, limit.most))
    return found


def _check(limit: Slo, at: str, actual: float | None) -> Check:
    if actual is None:
        return Check(limit, at, None, None)
    excesses = []
    if limit.most is not None:
        excesses.append((actual - limit.most) / (abs(limit.most) or 1.0))
    if limit.least is not None:
        excesses.append((limit.least - actual) / (abs(limit.least) or 1.0))
    return Check(limit, at, actual, max(excesses, default=0.0))
