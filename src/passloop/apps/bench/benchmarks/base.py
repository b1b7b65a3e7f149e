"""The contract of benchmarks: which subsets there are, what each is made of, and how answers are scored.

Resolving and scoring are light, so that `plan` and `bench rescore` need no model and no GPU; contexts are made in the
worker, with the model's tokenizer. Scoring sees stored answers only and never a model. Nothing here is random beyond
the seed it is given.

Plugins are entry points of the group `passloop.bench.benchmarks`, each naming a `BenchmarkKind` object.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

__all__ = [
    "BenchmarkAsk",
    "BenchmarkKind",
    "Context",
    "DataAsk",
    "Question",
    "ResolvedBenchmark",
    "ResolvedSubset",
    "Scores",
    "StoredAnswer",
    "Tokenizer",
    "scorer_of",
]


class Tokenizer(Protocol):
    """What a generator of exact lengths needs of a model's tokenizer."""

    def encode(self, text: str) -> list[int]:
        """Token ids without special tokens."""
        ...

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of token ids."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkAsk:
    """A benchmark as the spec names it. `subsets` empty: none were named. A path in `options` is relative to
    `folder`.
    """

    name: str
    subsets: tuple[str, ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    folder: Path = Path()


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedSubset:
    """One subset, which is one cell: a digest of its data (or the generator's version), and for estimates the tokens of
    a context, the new tokens of an answer and the samples it has when the spec does not say (None: unknown).
    """

    name: str = ""
    data: str = ""
    context_tokens: int | None = None
    new_tokens: int | None = None
    samples: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedBenchmark:
    """A benchmark as it was found: subsets in order (one with an empty name for a whole benchmark), `options` with
    defaults, which are part of a cell's identity. `places` are absolute paths, which are not (the subsets' digests say
    what lies there); a cell gets both as its options. `metric` is the one that tables show.
    """

    subsets: tuple[ResolvedSubset, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    places: Mapping[str, Any] = field(default_factory=dict)
    metric: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DataAsk:
    """What contexts are made from: a subset, at most `samples` of its questions (None: all), a seed."""

    subset: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    samples: int | None = None
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One sample: `id` is unique and the same each time in its cell. `generation` overrides the cell's arguments for
    this question alone. `reference` is what a right answer is measured by, as plain JSON data.
    """

    id: str
    text: str
    answer_prefix: str = ""
    reference: Any = None
    generation: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """A context, prefilled once for all its questions."""

    id: str
    text: str
    questions: tuple[Question, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredAnswer:
    """One line of `samples.jsonl`: the question's id, the answer, its reference, what else the adapter noted, and the
    score where the adapter scored itself.
    """

    sample: str
    answer: str
    reference: Any = None
    score: float | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """`metrics` of the cell, and the score of each sample (0 to 1 where it can be) in the order of the answers."""

    metrics: Mapping[str, float]
    samples: tuple[float, ...] = ()


class BenchmarkKind(Protocol):
    """A benchmark. `version` counts changes of its data or prompts (identity), `scorer_version` changes of its scoring
    (not identity). `adapter` names the adapter that its cells must run on (None: the spec's).
    """

    name: str
    version: str
    scorer_version: str
    adapter: str | None

    def resolve(self, ask: BenchmarkAsk) -> ResolvedBenchmark:
        """Check subsets and options and find the data. Raises `BadValue`, with `path` to what is wrong."""
        ...

    def contexts(self, ask: DataAsk, tokenizer: Tokenizer | None) -> Iterator[Context]:
        """The contexts of a subset, the same each time. Raises `DatasetError`."""
        ...

    def score(self, subset: str, answers: Sequence[StoredAnswer]) -> Scores | None:
        """Score stored answers; None where only the adapter can (it gives metrics itself)."""
        ...


def scorer_of(kind: BenchmarkKind) -> dict[str, str]:
    """A benchmark's scorer as it is noted with each cell that it scored."""
    return {"name": kind.name, "version": kind.scorer_version}
