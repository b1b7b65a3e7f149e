"""Needles in a haystack: facts that have to be found in a long text (after Kamradt 2023, and the variants that RULER,
Hsieh et al. 2024, describes): one key; several keys of which one is asked; one key with several values.

The text is made here from plain words, the facts are numbers of seven digits at random depths.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

from .base import Tokenizer
from .lengths import exact_text
from .synthetic import Asked, Made, Option, SyntheticKind, Task
from .vocabulary import ADJECTIVES, NOUNS, PLACES, VERBS

__all__ = ["KIND", "hay_for", "sentences"]

VERSION = "1"
DIGITS = 7
SENTENCES = 4096
"""Different sentences of a text; longer texts go through them again."""
WORDS = 6
"""The least words of a sentence."""


def hay_for(chance: random.Random, tokens: int) -> list[str]:
    """As many sentences as a text of so many tokens can hold."""
    return sentences(chance, min(SENTENCES, tokens // WORDS + 1))


def sentences(chance: random.Random, count: int) -> list[str]:
    """Short sentences that say nothing that is asked."""
    made = []
    for _ in range(count):
        first, second = chance.sample(NOUNS, 2)
        verb = chance.choice(VERBS).replace("_", " ")
        made.append(f"The {chance.choice(ADJECTIVES)} {first} {verb} the {chance.choice(ADJECTIVES)} {second}.")
    return made


def _single(chance: random.Random, tokens: int, options: Mapping[str, int], tokenizer: Tokenizer) -> Made:
    return _made(chance, tokens, tokenizer, keys=1, values=1, questions=1)


def _multikey(chance: random.Random, tokens: int, options: Mapping[str, int], tokenizer: Tokenizer) -> Made:
    keys = options["keys"]
    return _made(chance, tokens, tokenizer, keys=keys, values=1, questions=min(keys, options["questions"]))


def _multivalue(chance: random.Random, tokens: int, options: Mapping[str, int], tokenizer: Tokenizer) -> Made:
    return _made(chance, tokens, tokenizer, keys=1, values=options["values"], questions=1)


def _made(chance: random.Random, tokens: int, tokenizer: Tokenizer, *, keys: int, values: int, questions: int) -> Made:
    named = {key: _numbers(chance, values) for key in chance.sample(PLACES, keys)}
    facts = [f"The access code of {key} is {number}." for key, numbers in named.items() for number in numbers]
    chance.shuffle(facts)
    depths = sorted(chance.random() for _ in facts)
    hay = hay_for(chance, tokens)

    def build(pieces: int, padding: str) -> str:
        straw = [hay[place % len(hay)] for place in range(pieces)]
        return " ".join(_hidden(straw, facts, depths)) + padding

    text = exact_text(build, tokens=tokens, tokenizer=tokenizer)
    return Made(text, tuple(_asked(key, named[key]) for key in list(named)[:questions]))


def _numbers(chance: random.Random, count: int) -> list[str]:
    return [str(number) for number in chance.sample(range(10 ** (DIGITS - 1), 10**DIGITS), count)]


def _hidden(straw: Sequence[str], facts: Sequence[str], depths: Sequence[float]) -> list[str]:
    """The facts between the sentences, each at its depth (0 at the beginning, 1 at the end)."""
    text: list[str] = []
    begin = 0
    for fact, depth in zip(facts, depths, strict=True):
        end = round(depth * len(straw))
        text += [*straw[begin:end], fact]
        begin = end
    return [*text, *straw[begin:]]


def _asked(key: str, numbers: Sequence[str]) -> Asked:
    if len(numbers) == 1:
        question = f"\n\nWhat is the access code of {key}? Answer with the number only."
        return Asked(question, f"The access code of {key} is", tuple(numbers))
    question = f"\n\nWhat are all the access codes of {key}? There are {len(numbers)}. Answer with the numbers only."
    return Asked(question, f"The access codes of {key} are", tuple(numbers))


KIND = SyntheticKind(
    name="niah",
    version=VERSION,
    tasks={
        "single": Task(make=_single, new_tokens=16),
        "multikey": Task(make=_multikey, new_tokens=16, count="keys"),
        "multivalue": Task(make=_multivalue, new_tokens=48, count="values"),
    },
    known={"keys": Option(4, 1, len(PLACES)), "values": Option(4, 1, 20), "questions": Option(1, 1, len(PLACES))},
    example="[single_512, multikey_1024, multivalue_512]",
)
