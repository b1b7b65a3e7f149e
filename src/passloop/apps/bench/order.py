"""Which cells run first, and what a cell is thought to take until it is known better.

Longest first keeps the last cells short; the estimate is what equal cells took, else tokens x parameters. It orders
inside a run only; the kernel decides what starts.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

__all__ = ["First", "prior_ms", "ranks"]

FLOPS_PER_MS = 7e7
"""What one core of a server does in a millisecond on a small model in float32, as measured; a GPU does far more. The
order needs no more than proportions, and what was learned takes its place."""
LEAST_MS = 50
LARGEST_RANK = 1_000_000_000


class First(StrEnum):
    """Which cells come first."""

    LONGEST = "longest"
    SHORTEST = "shortest"
    DENSE = "dense"


def prior_ms(*, parameters: int, tokens: int, samples: int) -> int:
    """A guess of a cell's time in ms: two operations a parameter and token (Kaplan et al. 2020, section 2.1)."""
    work = 2.0 * max(1, parameters) * max(1, tokens) * max(1, samples)
    return max(LEAST_MS, round(work / FLOPS_PER_MS))


def ranks(estimates_ms: Sequence[int], dense: Sequence[bool], first: First) -> list[int]:
    """A rank for each cell; the lowest runs first, equal ones in the order of the matrix."""
    bounded = [min(each, LARGEST_RANK // 4) for each in estimates_ms]
    if first is First.SHORTEST:
        return bounded
    longest = [-each for each in bounded]
    if first is First.LONGEST:
        return longest
    return [each - LARGEST_RANK // 2 if is_dense else each for each, is_dense in zip(longest, dense, strict=True)]
