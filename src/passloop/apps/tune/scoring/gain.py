"""What a trial gains against the baseline, with an interval where both were repeated. Pure.

The interval is Welch's on logarithms of the two means (their relative errors add up in squares), so that it is one of a
ratio and never passes minus 100 %. It speaks of repeats on one server; servers that were started anew may differ more.
"""

from __future__ import annotations

import math
from typing import NamedTuple

from passloop.apps.statistics import student_quantile
from passloop.apps.tune.records import Document, Objective

from .objectives import objective_value, point_of

__all__ = ["Gain", "gain"]


class Gain(NamedTuple):
    """A share of the baseline: 0.2 is 20 % better, -0.1 is 10 % worse. `low` and `high` are None without repeats."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def certain(self) -> bool:
        """Whether the interval leaves out zero; False without one."""
        return self.low is not None and self.high is not None and not self.low <= 0 <= self.high


def gain(document: Document, baseline: Document, objective: Objective) -> Gain | None:
    """The gain in one objective: more of what is maximised, less of what is minimised; None if one is unknown or 0."""
    mine, its = objective_value(document, objective), objective_value(baseline, objective)
    if mine is None or its is None or mine <= 0 or its <= 0:
        return None
    ratio = mine / its
    mine_error, its_error = _error(document, objective, mine), _error(baseline, objective, its)
    if document.trial == baseline.trial or mine_error is None or its_error is None:
        return _signed(ratio, None, objective)
    return _signed(ratio, _spread(mine_error, its_error), objective)


class _Error(NamedTuple):
    """A relative standard error and its degrees of freedom."""

    relative: float
    freedom: int


def _error(document: Document, objective: Objective, value: float) -> _Error | None:
    result = point_of(document.points, objective.at)
    width = None if result is None else result.half_width.get(objective.metric, {}).get(objective.stat)
    if result is None or width is None or result.point.repeats < 2:
        return None
    freedom = result.point.repeats - 1
    return _Error(width / student_quantile(freedom) / value, freedom)


def _spread(one: _Error, other: _Error) -> float:
    """The factor by which the ratio may be off, `exp(t x sqrt(a^2 + b^2))`; Welch-Satterthwaite degrees of freedom."""
    squares = one.relative**2, other.relative**2
    total = sum(squares)
    if total == 0:
        return 1.0
    share = squares[0] / total  # of the whole variance: squares of tiny errors would be zero
    freedom = 1 / (share**2 / one.freedom + (1 - share) ** 2 / other.freedom)
    return math.exp(student_quantile(freedom) * math.sqrt(total))


def _signed(ratio: float, spread: float | None, objective: Objective) -> Gain:
    bounds = [] if spread is None else [ratio / spread, ratio * spread]
    values = [each - 1 if objective.direction == "maximize" else 1 - each for each in (ratio, *bounds)]
    return Gain(values[0], min(values[1:]), max(values[1:])) if bounds else Gain(values[0])
