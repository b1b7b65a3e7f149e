"""Scores of an answer against reference texts, between 0 and 1; the best reference counts. Pure functions.

Normalised as SQuAD does it (Rajpurkar et al. 2016): lower case, no punctuation, no articles, single blanks.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

__all__ = ["SCORERS", "best", "exact", "f1", "normalised", "recall", "rouge_l"]

ARTICLES = re.compile(r"\b(a|an|the)\b")
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
LONGEST = 4000
"""Words of a text that ROUGE-L looks at; it takes the product of both lengths."""


def normalised(text: str) -> list[str]:
    """The words of a text."""
    return ARTICLES.sub(" ", text.lower().translate(NO_PUNCTUATION)).split()


def exact(answer: str, reference: str) -> float:
    """1 where the words are the same."""
    return float(normalised(answer) == normalised(reference))


def recall(answer: str, reference: str) -> float:
    """1 where the reference stands in the answer."""
    return float(" ".join(normalised(reference)) in " ".join(normalised(answer)))


def f1(answer: str, reference: str) -> float:
    """The harmonic mean of precision and recall of words."""
    said, wanted = normalised(answer), normalised(reference)
    common = sum((Counter(said) & Counter(wanted)).values())
    return _f(common, len(said), len(wanted))


def rouge_l(answer: str, reference: str) -> float:
    """ROUGE-L (Lin 2004), F with equal weights: the longest common subsequence of words."""
    said, wanted = normalised(answer)[:LONGEST], normalised(reference)[:LONGEST]
    row = [0] * (len(wanted) + 1)
    for word in said:
        before = 0
        for place, other in enumerate(wanted, start=1):
            before, row[place] = row[place], before + 1 if word == other else max(row[place], row[place - 1])
    return _f(row[-1], len(said), len(wanted))


def _f(common: int, said: int, wanted: int) -> float:
    return 2 * common / (said + wanted) if common else 0.0


SCORERS: Mapping[str, Callable[[str, str], float]] = {"exact": exact, "recall": recall, "f1": f1, "rouge_l": rouge_l}


def best(scorer: str, answer: str, references: Sequence[str]) -> float:
    """The score against the reference that fits best; 0 without any."""
    return max((SCORERS[scorer](answer, each) for each in references), default=0.0)
