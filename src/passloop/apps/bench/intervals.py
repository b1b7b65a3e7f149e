"""The 95 % interval of a mean: how far it may be off by the samples, or the seeds, that it happened to be taken from.

Of right and wrong answers (0 and 1) Wilson's, which is not empty where all are right; of fewer than `FEW` other values
Student's; of more the percentile bootstrap (Efron and Tibshirani 1993, chapter 13), resampled with a seed of the values
themselves, so that a table is always the same.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence

from passloop.apps.statistics import student_mean, wilson

__all__ = ["interval_of_samples", "interval_of_seeds"]

RESAMPLES = 500
OUTSIDE = 0.025
MOST_VALUES = 20_000
FEW = 10
"""Below, a bootstrap is too narrow: of two values it can say no more than both."""

Interval = tuple[float, float]


def interval_of_seeds(values: Sequence[float]) -> Interval | None:
    """By Student, of the metric of each seed; None for fewer than two, or where all are equal: seeds that change
    nothing say nothing of chance.
    """
    if len(values) < 2 or min(values) == max(values):
        return None
    mean, half = student_mean(values)
    return None if half is None else (mean - half, mean + half)


def interval_of_samples(seeds: Sequence[Sequence[float]]) -> Interval | None:
    """Of the samples' scores, one sequence for each seed in the same order; None for fewer than two samples.

    Seeds that ask the same questions are no further samples: a question counts once, with its mean over the seeds.
    Where they ask different ones that takes nothing away. Seeds with unequal numbers of samples are put together.
    """
    paired = len({len(scores) for scores in seeds}) == 1
    values = (
        [statistics.fmean(each) for each in zip(*seeds, strict=True)] if paired else [s for each in seeds for s in each]
    )
    if len(values) < 2:
        return None
    if set(values) <= {0.0, 1.0}:
        return wilson(round(sum(values)), len(values))
    if min(values) == max(values):
        return None
    return _small(values) if len(values) < FEW else _bootstrap(values)


def _small(values: Sequence[float]) -> Interval | None:
    """Student's, within 0 and 1 where all scores are."""
    found = interval_of_seeds(values)
    if found is None or min(values) < 0 or max(values) > 1:
        return found
    return max(0.0, found[0]), min(1.0, found[1])


def _bootstrap(values: Sequence[float]) -> Interval:
    rounds = max(100, RESAMPLES * 100 // max(100, min(len(values), MOST_VALUES)))
    ordered = sorted(values)
    chance = random.Random(repr(ordered[:MOST_VALUES]))
    count = len(ordered)
    means = sorted(sum(chance.choices(ordered, k=count)) / count for _ in range(rounds))
    cut = int(OUTSIDE * rounds)
    return means[cut], means[-1 - cut]
