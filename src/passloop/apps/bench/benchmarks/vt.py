"""Variable tracking: assignments that lead from one variable to the next, scattered over a long text; asked is which
variables hold a value (after RULER's description, Hsieh et al. 2024).

One chain is asked, others mislead. `hops4_512` has chains of four steps; option `chains` says how many there are.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from itertools import pairwise

from .base import Tokenizer
from .lengths import exact_text
from .niah import hay_for
from .synthetic import Asked, Made, Option, SyntheticKind, Task

__all__ = ["KIND"]

VERSION = "1"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
NAME_LETTERS = 4


def _tracking(chance: random.Random, tokens: int, options: Mapping[str, int], tokenizer: Tokenizer) -> Made:
    length = options["hops"] + 1
    names = _names(chance, options["chains"] * length)
    chains = [names[start : start + length] for start in range(0, len(names), length)]
    values = [str(number) for number in chance.sample(range(10_000, 100_000), len(chains))]
    lines = _mixed(chance, [_lines(chain, value) for chain, value in zip(chains, values, strict=True)])
    places = sorted(chance.random() for _ in lines)
    hay = hay_for(chance, tokens)

    def build(pieces: int, padding: str) -> str:
        text: list[str] = []
        begin = 0
        for line, place in zip(lines, places, strict=True):
            end = round(place * pieces)
            text += [*(hay[each % len(hay)] for each in range(begin, end)), line]
            begin = end
        return " ".join([*text, *(hay[each % len(hay)] for each in range(begin, pieces))]) + padding

    text = exact_text(build, tokens=tokens, tokenizer=tokenizer)
    question = (
        f"\n\nWhich variables hold the value {values[0]}, directly or through other variables? "
        f"There are {length}. Answer with their names only."
    )
    return Made(text, (Asked(question, f"The variables that hold {values[0]} are", tuple(chains[0])),))


def _names(chance: random.Random, count: int) -> list[str]:
    found: dict[str, None] = {}
    while len(found) < count:
        found["".join(chance.choices(LETTERS, k=NAME_LETTERS))] = None
    return list(found)


def _lines(chain: Sequence[str], value: str) -> list[str]:
    first = f"VAR {chain[0]} = {value}."
    return [first, *(f"VAR {after} = {before}." for before, after in pairwise(chain))]


def _mixed(chance: random.Random, chains: Sequence[Sequence[str]]) -> list[str]:
    """The lines of all chains among each other, those of one chain in their order."""
    turns = [number for number, lines in enumerate(chains) for _ in lines]
    chance.shuffle(turns)
    rests = [iter(lines) for lines in chains]
    return [next(rests[number]) for number in turns]


KIND = SyntheticKind(
    name="vt",
    version=VERSION,
    tasks={"hops": Task(make=_tracking, new_tokens=48, count="hops")},
    known={"hops": Option(4, 1, 50), "chains": Option(2, 1, 50)},
    example="[hops2_512, hops4_4096]",
)
