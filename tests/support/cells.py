"""Cells for adapters in tests: what is asked of one, and a recorder that keeps what it answered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from passloop.apps.bench.adapters.base import (
    CellNames,
    CellWork,
    Granted,
    LoadNeeds,
    MethodAsk,
    ModelAsk,
    ResolvedMethod,
    ResolvedModel,
    Scalar,
)
from passloop.apps.bench.adapters.hf import KIND
from passloop.apps.bench.benchmarks.base import Context, DataAsk, Question, StoredAnswer
from passloop.apps.bench.benchmarks.niah import KIND as NIAH

DENSE = ResolvedMethod(kept=1.0)


@dataclass
class Kept:
    """See `Recorder`."""

    answers: dict[str, StoredAnswer] = field(default_factory=dict)

    def answer(self, question: Question, text: str, *, score: float | None = None, **extra: Scalar) -> None:
        assert question.id not in self.answers, "one answer a question"
        stored = StoredAnswer(
            sample=question.id, answer=text, reference=question.reference, score=score, extra=dict(extra)
        )
        self.answers[question.id] = stored

    def note(self, event: str, **facts: Scalar) -> None:
        """Nothing is logged here."""

    @property
    def texts(self) -> dict[str, str]:
        """Answers by sample."""
        return {name: each.answer for name, each in self.answers.items()}


def found_model(folder: Path, **load: Any) -> ResolvedModel:
    """The model in a folder, as `plan` finds it."""
    return KIND.resolve_model(ModelAsk(name="tiny", source=str(folder), load=load))


def needs_of(model: ResolvedModel) -> LoadNeeds:
    """What to load for a model."""
    return LoadNeeds(key=model.weights, model="tiny", source=model.source, weights=model.weights, load=model.load)


def method_of(model: ResolvedModel, name: str, **parameters: Any) -> ResolvedMethod:
    """A method, as `plan` resolves it."""
    return KIND.resolve_method(MethodAsk(name=name, method=name, parameters=parameters), model)


def needle_cell(
    method: ResolvedMethod = DENSE, *, subset: str = "single_200", samples: int = 2, seed: int = 0, **options: int
) -> CellWork:
    """A cell of needles; `options` are the benchmark's."""
    ask = DataAsk(subset=subset, options=options, samples=samples, seed=seed)
    return CellWork(
        names=CellNames(model="tiny", sparse_attention="a", benchmark="niah", subset=subset),
        adapter="hf",
        method=method,
        generation={"max_new_tokens": 6},
        seed=seed,
        granted=Granted(threads=1),
        contexts=lambda tokenizer: NIAH.contexts(ask, tokenizer),
    )


def asking(contexts: Iterable[Context], method: ResolvedMethod = DENSE, **more: Any) -> CellWork:
    """A cell of these contexts."""
    held = tuple(contexts)
    return CellWork(
        names=CellNames(model="tiny", sparse_attention="a", benchmark="own"),
        adapter="hf",
        method=method,
        generation=more.pop("generation", {"max_new_tokens": 6}),
        granted=Granted(threads=1),
        contexts=lambda _: held,
        **more,
    )
