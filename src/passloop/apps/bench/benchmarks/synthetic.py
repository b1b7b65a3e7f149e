"""Benchmarks that are made here: a subset is a kind of text and its length in tokens, such as `single_512`.

Each sample's text comes from a seed of its own, made from the cell's seed and its number, so it is the same whichever
samples are asked for, in whatever order. The text of a context has exactly the tokens that the subset names; the
question and the chat template come on top.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.text import shown

from . import matching
from .base import BenchmarkAsk, Context, DataAsk, Question, ResolvedBenchmark, ResolvedSubset, Scores, Tokenizer
from .base import StoredAnswer as StoredAnswer
from .lengths import Words

__all__ = ["Asked", "Made", "Option", "SyntheticKind", "Task"]

LEAST_TOKENS = 64
MOST_TOKENS = 2_000_000
DEFAULT_SAMPLES = 20
SUBSET = re.compile(r"(?P<task>[a-z]+)(?P<count>\d*)_(?P<tokens>\d+)")


class Asked(NamedTuple):
    """One question about a text: what is asked, how the answer begins, and the values that it has to name."""

    text: str
    prefix: str
    wanted: tuple[str, ...]


class Made(NamedTuple):
    """A text and what is asked about it."""

    text: str
    questions: tuple[Asked, ...]


class Option(NamedTuple):
    """A whole number among the benchmark's options."""

    default: int
    least: int
    most: int


Maker = Callable[[random.Random, int, Mapping[str, int], Tokenizer], Made]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One kind of text. `make(chance, tokens, options, tokenizer)` makes it; `new_tokens` is what an answer takes;
    `count` names the option that a number after the task's name stands for.
    """

    make: Maker
    new_tokens: int
    count: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntheticKind:
    """See `BenchmarkKind`."""

    name: str
    version: str
    tasks: Mapping[str, Task]
    known: Mapping[str, Option]
    example: str
    scorer_version: str = matching.VERSION
    adapter: str | None = None

    def resolve(self, ask: BenchmarkAsk) -> ResolvedBenchmark:
        """Check subsets and options."""
        options = self._options(ask.options)
        if not ask.subsets:
            raise BadValue(f"{self.name} has no subsets", f"name some: subsets: {self.example}")
        subsets = tuple(self._subset(place, name) for place, name in enumerate(ask.subsets))
        return ResolvedBenchmark(subsets=subsets, options=options, metric=matching.RECALL)

    def contexts(self, ask: DataAsk, tokenizer: Tokenizer | None) -> Iterator[Context]:
        """One text after another, each with its questions, until there are enough samples."""
        given = {name: int(ask.options.get(name, known.default)) for name, known in self.known.items()}
        task, tokens, options = self._parsed(ask.subset, given)
        left = DEFAULT_SAMPLES if ask.samples is None else ask.samples
        number = 0
        while left > 0:
            chance = random.Random(_seed(self.name, ask.subset, ask.seed, number))
            made = self.tasks[task].make(chance, tokens, options, tokenizer or Words())
            questions = made.questions[:left]
            yield Context(id=str(number), text=made.text, questions=_questions(number, questions))
            left -= len(questions)
            number += 1

    def score(self, subset: str, answers: Sequence[StoredAnswer]) -> Scores | None:
        """By the values that answers name."""
        return matching.recall_of(answers)

    def _options(self, given: Mapping[str, Any]) -> dict[str, int]:
        for name in given:
            if name not in self.known:
                raise BadValue(f"{self.name} has no option {shown(name)}", did_you_mean(name, self.known), path=(name,))
        return {name: _whole(name, given.get(name, known.default), known) for name, known in self.known.items()}

    def _subset(self, place: int, name: str) -> ResolvedSubset:
        try:
            task, tokens, _ = self._parsed(name, {})
        except BadValue as bad:
            raise BadValue(bad.what, bad.fix, path=("subsets", place)) from None
        return ResolvedSubset(
            name=name,
            data=f"{self.name}:{self.version}",
            context_tokens=tokens,
            new_tokens=self.tasks[task].new_tokens,
            samples=DEFAULT_SAMPLES,
        )

    def _parsed(self, subset: str, options: Mapping[str, int]) -> tuple[str, int, dict[str, int]]:
        """Task, tokens, and the options with what the subset's name says."""
        found = SUBSET.fullmatch(subset)
        if found is None or found["task"] not in self.tasks:
            names = [f"{name}_{length}" for name in self.tasks for length in (512, 4096)]
            raise BadValue(f"{self.name} has no subset {shown(subset)}", did_you_mean(subset, names))
        task, tokens = self.tasks[found["task"]], int(found["tokens"])
        if not LEAST_TOKENS <= tokens <= MOST_TOKENS:
            raise BadValue(f"{shown(subset)} has {tokens} tokens", f"use {LEAST_TOKENS} to {MOST_TOKENS:,}")
        counted: dict[str, int] = {}
        if found["count"]:
            if not task.count:
                raise BadValue(f"{self.name} has no subset {shown(subset)}", f"write {found['task']}_{tokens}")
            counted[task.count] = _whole(task.count, int(found["count"]), self.known[task.count])
        return found["task"], tokens, {**options, **counted}


def _questions(number: int, asked: Sequence[Asked]) -> tuple[Question, ...]:
    return tuple(
        Question(id=f"{number}.{place}", text=each.text, answer_prefix=each.prefix, reference=list(each.wanted))
        for place, each in enumerate(asked)
    )


def _seed(*parts: object) -> int:
    return int.from_bytes(hashlib.sha256("\0".join(map(str, parts)).encode()).digest()[:8], "big")


def _whole(name: str, value: Any, known: Option) -> int:
    if type(value) is not int or not known.least <= value <= known.most:
        raise BadValue(
            f"{name} is {shown(value)}", f"use a whole number of {known.least} to {known.most}", path=(name,)
        )
    return value
