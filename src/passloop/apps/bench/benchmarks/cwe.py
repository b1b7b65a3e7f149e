"""Common words: a long numbered list in which some words come often and the others rarely; asked are the common ones
(after RULER's description, Hsieh et al. 2024). `top10_4096` asks for ten.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from .base import Tokenizer
from .lengths import exact_text
from .synthetic import Asked, Made, Option, SyntheticKind, Task
from .vocabulary import ADJECTIVES, NOUNS

__all__ = ["KIND"]

VERSION = "1"
COMMON_SHARE = 0.6
"""The share of the list that the common words fill."""
RARE_TIMES = 2
"""How often a rare word comes at most."""
LEAST_TIMES = 4
"""How often a common word comes at least, so that it is clearly more common."""


def _common(chance: random.Random, tokens: int, options: Mapping[str, int], tokenizer: Tokenizer) -> Made:
    wanted = options["words"]
    nouns = chance.sample(NOUNS, len(NOUNS))
    common, rare = nouns[:wanted], [*nouns[wanted:], *_pairs(chance)]
    order = random.Random(chance.random())
    state = order.getstate()

    def build(pieces: int, padding: str) -> str:
        order.setstate(state)
        words = _filled(common, rare, pieces)
        order.shuffle(words)
        return "\n".join(f"{number}. {word}" for number, word in enumerate(words, start=1)) + "\n" + padding

    text = exact_text(build, tokens=tokens, tokenizer=tokenizer)
    question = (
        f"\n\nSome words come much more often in this list than the others. "
        f"What are the {wanted} most common words? Answer with the words only."
    )
    return Made(text, (Asked(question, f"The {wanted} most common words are:", tuple(common)),))


def _pairs(chance: random.Random) -> list[str]:
    """Rare words without end, for long lists: two words joined."""
    pairs = [f"{first}-{second}" for first in ADJECTIVES for second in NOUNS]
    chance.shuffle(pairs)
    return pairs


def _filled(common: list[str], rare: list[str], pieces: int) -> list[str]:
    """The words of a list; it has room for at least the common ones, and grows by one word with each piece."""
    least = len(common) * LEAST_TIMES
    times = max(LEAST_TIMES, int((least + pieces) * COMMON_SHARE / len(common)))
    count = min(times * len(common), least + pieces)
    words = [common[place % len(common)] for place in range(count)]
    left = least + pieces - count
    return words + [rare[(place // RARE_TIMES) % len(rare)] for place in range(left)]


KIND = SyntheticKind(
    name="cwe",
    version=VERSION,
    tasks={"top": Task(make=_common, new_tokens=64, count="words")},
    known={"words": Option(10, 1, 50)},
    example="[top5_512, top10_4096]",
)
