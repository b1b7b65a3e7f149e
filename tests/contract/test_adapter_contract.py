"""What every adapter of bench promises: it loads, runs cells, goes back to what it loaded, and lets go of it.

A new adapter joins by an entry in `SUBJECTS`; what it needs beyond the standard library it skips itself without.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.bench.adapters.base import (
    Adapter,
    AdapterKind,
    CellNames,
    CellWork,
    Granted,
    LoadNeeds,
    MethodAsk,
    ModelAsk,
    Scalar,
)
from passloop.apps.bench.benchmarks.base import Question
from passloop.apps.bench.plugins import ADAPTERS, adapter_kind
from passloop.apps.errors import BadValue

PROGRAM = """
import json, os, sys
out = os.environ["PASSLOOP_OUT"]
score = len("|".join(sys.argv[1:])) / 100
with open(out + "/samples.jsonl", "w") as file:
    for number in range(3):
        print(json.dumps({"sample": f"s{number}", "answer": "yes", "score": score}), file=file)
json.dump({"score": score}, open(out + "/metrics.json", "w"))
"""

CLASS = """
from passloop.apps.bench.benchmarks.base import Question

class Own:
    def __init__(self, base=0):
        self.base, self.loaded = base, None

    def load(self, needs, granted):
        self.loaded = needs.model

    def run_cell(self, cell, record):
        score = (self.base + len(cell.names.model) + cell.seed) / 10
        for number in range(3):
            record.answer(Question(id=f"s{number}", text=""), "yes", score=score)
        return {"score": score}

    def fingerprint(self):
        return str(self.loaded)

    def unload(self):
        self.loaded = None
"""


@dataclass(frozen=True, slots=True)
class Subject:
    """An adapter under test: its name, options, a model and two methods that it takes, and options it refuses."""

    name: str
    options: Mapping[str, Any]
    wrong: tuple[Mapping[str, Any], ...]
    model: ModelAsk = field(default_factory=lambda: ModelAsk(name="a", source="x"))
    methods: tuple[MethodAsk, ...] = (
        MethodAsk(name="dense"),
        MethodAsk(name="half", method="knorm", parameters={"compression_ratio": 0.5}),
    )


SUBJECTS = (
    Subject("fake", {"samples": 3}, ({"second": 1}, {"rules": [{"fault": "run_om"}]}, {"rules": [{"wher": {}}]})),
    Subject(
        "command",
        {"command": ["{python}", "-c", PROGRAM, "{model}", "{compression_ratio}", "{subset}"]},
        ({}, {"command": ["x"], "other": 1}),
    ),
    Subject("python", {"python": "own_adapter:Own", "base": 2}, ({}, {"python": "not a path"}, {"python": "no.class"})),
)


class Kept:
    """A recorder that keeps everything in memory."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[str, float | None]] = {}
        self.notes: list[str] = []

    def answer(self, question: Question, text: str, *, score: float | None = None, **extra: Scalar) -> None:
        """Keep the answer."""
        assert question.id not in self.answers, "answered twice"
        self.answers[question.id] = (text, score)

    def note(self, event: str, **facts: Scalar) -> None:
        """Keep the event's name."""
        self.notes.append(event)


@pytest.fixture(params=SUBJECTS, ids=lambda subject: subject.name)
def subject(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Subject:
    (tmp_path / "own_adapter.py").write_text(CLASS)
    monkeypatch.syspath_prepend(str(tmp_path))
    found: Subject = request.param
    return found


def kind_of(subject: Subject) -> AdapterKind:
    return adapter_kind(subject.name)


def needs_of(subject: Subject, *, model: str = "") -> LoadNeeds:
    found = kind_of(subject).resolve_model(subject.model)
    name = model or subject.model.name
    return LoadNeeds(key=f"key-{name}", model=name, source=found.source, weights=found.weights, load=found.load)


def made(subject: Subject) -> Adapter:
    kind = kind_of(subject)
    adapter = kind.create(kind.resolve_options(subject.options, Path()))
    adapter.load(needs_of(subject), Granted())
    return adapter


def work_of(subject: Subject, out: Path, *, method: int = 0, seed: int = 0) -> CellWork:
    kind = kind_of(subject)
    ask = subject.methods[method]
    out.mkdir(parents=True, exist_ok=True)
    return CellWork(
        names=CellNames(model=subject.model.name, sparse_attention=ask.name, benchmark="niah", subset="s"),
        adapter=subject.name,
        method=kind.resolve_method(ask, kind.resolve_model(subject.model)),
        seed=seed,
        out=out,
        blank=("compression_ratio",) if not ask.parameters else (),
    )


def run(adapter: Adapter, work: CellWork) -> tuple[Mapping[str, Any] | None, Kept]:
    kept = Kept()
    report = adapter.run_cell(work, kept)
    if report.samples is not None:  # all answers of the cell, in place of those recorded
        kept.answers = {each.sample: (each.answer, each.score) for each in report.samples}
    return report.metrics, kept


def test_every_light_adapter_stands_here() -> None:
    assert {"fake", "command", "python"} <= {subject.name for subject in SUBJECTS} & set(ADAPTERS)


def test_options_that_cannot_be_are_refused_before_anything_runs(subject: Subject) -> None:
    kind = kind_of(subject)
    assert kind.name == subject.name
    assert kind.resolve_options(subject.options, Path())
    for wrong in subject.wrong:
        with pytest.raises(BadValue) as caught:
            kind.resolve_options(wrong, Path())
        assert caught.value.what
        assert caught.value.fix


def test_a_method_round_trips(subject: Subject) -> None:
    kind = kind_of(subject)
    model = kind.resolve_model(subject.model)
    for ask in subject.methods:
        found = kind.resolve_method(ask, model)
        assert found.method == ask.method
        assert dict(ask.parameters).items() <= dict(found.parameters).items()


def test_a_cell_gives_metrics_and_answers(subject: Subject, tmp_path: Path) -> None:
    metrics, kept = run(made(subject), work_of(subject, tmp_path / "out"))
    assert metrics is None or isinstance(metrics["score"], float)
    assert sorted(kept.answers) == ["s0", "s1", "s2"]


def test_the_same_cell_gives_the_same_whatever_ran_before(subject: Subject, tmp_path: Path) -> None:
    adapter = made(subject)
    first = run(adapter, work_of(subject, tmp_path / "1"))
    adapter.reset()
    run(adapter, work_of(subject, tmp_path / "2", method=1, seed=3))
    adapter.reset()
    again = run(adapter, work_of(subject, tmp_path / "3"))
    assert (first[0], first[1].answers) == (again[0], again[1].answers)


def test_a_cell_leaves_the_fingerprint_as_it_was(subject: Subject, tmp_path: Path) -> None:
    adapter = made(subject)
    before = adapter.fingerprint()
    for number in range(2):
        run(adapter, work_of(subject, tmp_path / str(number), method=number))
        adapter.reset()
        assert adapter.fingerprint() == before


def test_arguments_of_a_cell_are_not_changed_by_it(subject: Subject, tmp_path: Path) -> None:
    generation = {"max_new_tokens": 4, "stop": ["x"]}
    work = replace(work_of(subject, tmp_path / "out"), generation=generation)
    run(made(subject), work)
    assert generation == {"max_new_tokens": 4, "stop": ["x"]}


def test_what_was_unloaded_can_be_loaded_again(subject: Subject, tmp_path: Path) -> None:
    adapter = made(subject)
    first = run(adapter, work_of(subject, tmp_path / "1"))
    adapter.unload()
    adapter.load(needs_of(subject), Granted())
    assert run(adapter, work_of(subject, tmp_path / "2"))[0] == first[0]
