"""Scores of an answer against reference texts, between 0 and 1; the best reference counts. Pure functions.

What has a published definition is as published: `f1` of words normalised as SQuAD does it (Rajpurkar et al. 2016: lower
case, no punctuation, no articles, single blanks), `rouge_l` (Lin 2004), `count` and `retrieval` of LongBench (Bai et
al. 2023, `metrics.py`), `string_match` of RULER (Hsieh et al. 2024). `exact` and `recall` are our own: they read as
SQuAD does, but know that 1.5 is not 15, nor -5 the same as 5. A reference of which nothing is left (the choice "A") is
compared as it is written.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

__all__ = ["SCORERS", "best", "count", "exact", "f1", "normalised", "recall", "retrieval", "rouge_l", "string_match"]

ARTICLES = re.compile(r"\b(a|an|the)\b")
NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
NO_NUMBERS_OWN = re.compile(
    r"(?!(?<=\d)[.:/](?=\d)|(?<!\w)\.(?=\d)|(?<![^\W\d])-(?=\.?\d))" f"[{re.escape(string.punctuation)}]"
)
"""Punctuation, but for what is part of a number."""
INSIDE = r"[^\W\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u2e80-\U0010ffff]|[.:/-]"
"""What a word or number goes on with; scripts that are written without blanks tell no end of a word."""
LONGEST = 4000
"""Words of a text that ROUGE-L looks at; it takes the product of both lengths."""


def normalised(text: str) -> list[str]:
    """The words of a text, as SQuAD has them."""
    return ARTICLES.sub(" ", text.lower().translate(NO_PUNCTUATION)).split()


def exact(answer: str, reference: str) -> float:
    """1 where the words and numbers are the same."""
    said, wanted = _pair(answer, reference, _with_numbers)
    return float(said == wanted)


def recall(answer: str, reference: str) -> float:
    """1 where the reference stands in the answer, as words and numbers of their own."""
    said, wanted = (" ".join(words) for words in _pair(answer, reference, _with_numbers))
    if not wanted:
        return float(not said)
    before = f"(?<!{INSIDE})" if re.match(INSIDE, wanted) else ""
    after = f"(?!{INSIDE})" if re.match(INSIDE, wanted[-1]) else ""
    return float(re.search(before + re.escape(wanted) + after, said) is not None)


def count(answer: str, reference: str) -> float:
    """LongBench's `count_score`: the share of the whole numbers in the answer that are the reference."""
    numbers = re.findall(r"\d+", answer)
    return numbers.count(reference) / len(numbers) if numbers else 0.0


def retrieval(answer: str, reference: str) -> float:
    """LongBench's `retrieval_score`: the share of the whole numbers in the answer that are the first of the reference,
    which is `Paragraph 7`.
    """
    number = re.search(r"\d+", reference)
    return count(answer, number.group()) if number is not None else 0.0


def string_match(answer: str, reference: str) -> float:
    """RULER's: 1 where the reference is part of the answer, whatever its case; 7 is part of 1977."""
    return float(reference.lower() in answer.lower())


def f1(answer: str, reference: str) -> float:
    """The harmonic mean of precision and recall of words."""
    said, wanted = _pair(answer, reference, normalised)
    common = sum((Counter(said) & Counter(wanted)).values())
    return _f(common, len(said), len(wanted))


def rouge_l(answer: str, reference: str) -> float:
    """ROUGE-L (Lin 2004), F with equal weights: the longest common subsequence of words."""
    said, wanted = (words[:LONGEST] for words in _pair(answer, reference, normalised))
    row = [0] * (len(wanted) + 1)
    for word in said:
        before = 0
        for place, other in enumerate(wanted, start=1):
            before, row[place] = row[place], before + 1 if word == other else max(row[place], row[place - 1])
    return _f(row[-1], len(said), len(wanted))


def _with_numbers(text: str) -> list[str]:
    return ARTICLES.sub(" ", NO_NUMBERS_OWN.sub("", text.lower())).split()


def _pair(answer: str, reference: str, words_of: Callable[[str], list[str]]) -> tuple[list[str], list[str]]:
    """The words of both, read alike: as written where nothing would be left of the reference."""
    wanted = words_of(reference)
    return (words_of(answer), wanted) if wanted else (answer.split(), reference.split())


def _f(common: int, said: int, wanted: int) -> float:
    return 2 * common / (said + wanted) if common else 0.0


SCORERS: Mapping[str, Callable[[str, str], float]] = {
    "exact": exact,
    "recall": recall,
    "f1": f1,
    "rouge_l": rouge_l,
    "count": count,
    "retrieval": retrieval,
    "string_match": string_match,
}


def best(scorer: str, answer: str, references: Sequence[str]) -> float:
    """The score against the reference that fits best; 0 without any."""
    return max((SCORERS[scorer](answer, each) for each in references), default=0.0)
