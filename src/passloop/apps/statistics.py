"""Statistics of measurements and the intervals around them. Pure; knows nothing of what is measured.

Percentiles interpolate between the two closest ranks (definition 7 of Hyndman and Fan 1996, which numpy and with it
AIPerf and `vllm bench serve` use), so that figures of different clients can be compared.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import NormalDist, fmean, stdev
from typing import NamedTuple

__all__ = ["STATS", "Mean", "percentile", "student_mean", "student_quantile", "summary", "wilson"]

PERCENTILES = {"p50": 0.50, "p90": 0.90, "p95": 0.95, "p99": 0.99}
STATS = ("mean", *PERCENTILES)
"""The statistics of a latency, in the order of tables."""

CONFIDENCE = 0.95
_UPPER = 1 - (1 - CONFIDENCE) / 2


class Mean(NamedTuple):
    """A mean and the half width of its 95 % interval; None where fewer than two values give none."""

    value: float
    half_width: float | None


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of sorted values lie. Raises `ValueError` for no values."""
    if not ordered:
        raise ValueError("no values have no percentile")
    place = share * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def summary(values: Sequence[float]) -> dict[str, float]:
    """Mean and percentiles by name; empty for no values, since a statistic of nothing is not a number."""
    if not values:
        return {}
    ordered = sorted(values)
    return {"mean": fmean(ordered)} | {name: percentile(ordered, share) for name, share in PERCENTILES.items()}


def student_mean(values: Sequence[float]) -> Mean:
    """The mean of repeats with Student's interval: `t x s / sqrt(n)`. Raises `ValueError` for no values."""
    if not values:
        raise ValueError("no values have no mean")
    if len(values) < 2:
        return Mean(values[0], None)
    return Mean(fmean(values), student_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values)))


@lru_cache(maxsize=1_024)
def student_quantile(freedom: float) -> float:
    """The 97.5 % quantile of Student's t with `freedom` >= 1 degrees (a fraction is one of Welch's).

    Found by bisection on the distribution itself, which is integrated by Simpson's rule in the angle
    `atan(t / sqrt(freedom))`, where the density is a power of the cosine; beyond 1,000 degrees it is the normal's.
    """
    if freedom < 1:
        raise ValueError("Student's t wants at least one degree of freedom")
    if freedom > 1_000:
        return NormalDist().inv_cdf(_UPPER)
    scale = math.exp(math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2)) / math.sqrt(math.pi)
    low, high = 0.0, math.pi / 2
    for _ in range(40):
        middle = (low + high) / 2
        if 0.5 + scale * _power_of_cosine(middle, freedom - 1) < _UPPER:
            low = middle
        else:
            high = middle
    return math.sqrt(freedom) * math.tan(low)


def _power_of_cosine(end: float, power: float, steps: int = 100) -> float:
    """The integral of `cos(x) ** power` from 0 to `end` (Simpson)."""
    step = end / steps
    inner = sum((4 if number % 2 else 2) * math.pow(math.cos(number * step), power) for number in range(1, steps))
    return (1 + inner + math.pow(math.cos(end), power)) * step / 3


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share of `hits` in `count` (Wilson 1927); for a count of zero it is (0, 1).

    It stays within 0 and 1 and is not empty at 0 or all hits, as the plain normal interval is.
    """
    if count == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf(_UPPER)
    share, square = hits / count, z * z / count
    centre = (share + square / 2) / (1 + square)
    spread = z / (1 + square) * math.sqrt(share * (1 - share) / count + square / (4 * count))
    return max(0.0, min(share, centre - spread)), min(1.0, max(share, centre + spread))
