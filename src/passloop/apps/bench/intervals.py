"""Bootstrap intervals of a mean: resampled with a seed of the values themselves, so that a table is always the same.

Percentile interval (Efron and Tibshirani 1993, chapter 13).
"""

from __future__ import annotations

import random
from collections.abc import Sequence

__all__ = ["interval"]

RESAMPLES = 500
OUTSIDE = 0.025
MOST_VALUES = 20_000


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % interval of the mean; None for fewer than two values."""
    if len(values) < 2:
        return None
    if min(values) == max(values):
        return values[0], values[0]
    rounds = max(100, RESAMPLES * 100 // max(100, min(len(values), MOST_VALUES)))
    ordered = sorted(values)
    chance = random.Random(repr(ordered[:MOST_VALUES]))
    count = len(ordered)
    means = sorted(sum(chance.choices(ordered, k=count)) / count for _ in range(rounds))
    cut = int(OUTSIDE * rounds)
    return means[cut], means[-1 - cut]
