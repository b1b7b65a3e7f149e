"""Scores answers by the values they have to name. Light and without a model; versioned apart from the data."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .base import Scores, StoredAnswer

__all__ = ["RECALL", "VERSION", "found_share", "recall_of"]

VERSION = "1"
RECALL = "recall"
"""The share of the wanted values that an answer names, in the mean."""


def recall_of(answers: Sequence[StoredAnswer]) -> Scores:
    """`recall`, and `all_found`: the share of answers that name every wanted value."""
    shares = tuple(found_share(each.answer, _wanted(each.reference)) for each in answers)
    count = len(shares) or 1
    metrics = {RECALL: sum(shares) / count, "all_found": sum(share == 1.0 for share in shares) / count}
    return Scores(metrics=metrics, samples=shares)


def found_share(answer: str, wanted: Iterable[str]) -> float:
    """How many of the wanted values stand in the answer as words of their own, whatever their case."""
    values = list(wanted)
    named = [re.search(rf"(?<!\w){re.escape(value)}(?!\w)", answer, re.IGNORECASE) is not None for value in values]
    return sum(named) / len(values) if values else 0.0


def _wanted(reference: object) -> list[str]:
    return [str(each) for each in reference] if isinstance(reference, list | tuple) else [str(reference)]
