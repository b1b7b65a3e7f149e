"""Task files of lm-eval are read without lm-eval: names, metrics, everything they stand on, and every mistake."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from passloop.apps.bench.adapters.lm_eval import KIND as ADAPTER
from passloop.apps.bench.benchmarks.base import BenchmarkAsk, ResolvedBenchmark, StoredAnswer
from passloop.apps.bench.benchmarks.lm_eval import KIND, METRIC, task_path
from passloop.apps.errors import BadValue

TASK = """
task: sums
include: shared.yaml
dataset_kwargs: {data_files: {test: sums.jsonl}}
doc_to_text: !function own.prompt
"""
SHARED = """
dataset_path: json
metric_list: [{metric: exact_match, aggregation: mean}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "sums.yaml").write_text(TASK)
    (tmp_path / "shared.yaml").write_text(SHARED)
    (tmp_path / "sums.jsonl").write_text('{"a": 1}\n')
    (tmp_path / "own.py").write_text("def prompt(doc):\n    return ''\n")
    return tmp_path


def resolved(folder: Path, subsets: tuple[str, ...] = (), **options: Any) -> ResolvedBenchmark:
    named = {"tasks": ["./sums.yaml"], **options}
    return KIND.resolve(BenchmarkAsk(name="lm_eval", subsets=subsets, options=named, folder=folder))


def refused(folder: Path, subsets: tuple[str, ...] = (), **options: Any) -> BadValue:
    with pytest.raises(BadValue) as caught:
        resolved(folder, subsets, **options)
    return caught.value


def test_a_task_is_a_subset_with_its_metric(folder: Path) -> None:
    found = resolved(folder)
    assert [subset.name for subset in found.subsets] == ["sums"]
    assert found.metric == "exact_match"
    assert task_path(found.places, "sums") == folder / "sums.yaml"
    assert str(folder) not in str(found.options), "where a task lies is no part of what it is"


@pytest.mark.parametrize("name", ["sums.yaml", "shared.yaml", "sums.jsonl", "own.py"])
def test_a_change_of_any_file_is_another_digest(folder: Path, name: str) -> None:
    before = resolved(folder).subsets[0].data
    path = folder / name
    path.write_text(path.read_text() + ("# changed\n" if not name.endswith("l") or name.endswith("yaml") else "{}\n"))
    assert resolved(folder).subsets[0].data != before


def test_tasks_of_several_metrics_have_none_in_common(folder: Path) -> None:
    text = "task: other\ndataset_path: json\ndataset_kwargs: {data_files: sums.jsonl}\nmetric_list: [{metric: acc}]\n"
    (folder / "other.yaml").write_text(text)
    assert resolved(folder, tasks=["sums.yaml", "other.yaml"]).metric is None
    assert resolved(folder, ("other",), tasks=["sums.yaml", "other.yaml"]).metric == "acc"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("a: [", "no YAML"),
        ("- a", "no task of lm-eval"),
        ("group: a", "a group"),
        ("task: [a, b]", "a group"),
        ("dataset_path: json", "no task"),
        ("task: a\ndataset_path: gsm8k", "not local"),
        ("task: a\ndataset_path: json", "no data files"),
        ("task: a\ndataset_path: json\ndataset_kwargs: {data_files: gone.jsonl}", "gone.jsonl"),
    ],
)
def test_a_wrong_task_file_is_told_where_it_stands(folder: Path, text: str, what: str) -> None:
    (folder / "wrong.yaml").write_text(text)
    bad = refused(folder, tasks=["sums.yaml", "wrong.yaml"])
    assert bad.path == ("tasks", 1)
    assert what in bad.what
    assert bad.fix


@pytest.mark.parametrize(
    ("options", "path"),
    [
        ({"tasks": []}, ("tasks",)),
        ({"tasks": [1]}, ("tasks",)),
        ({"tasks": ["gone.yaml"]}, ("tasks", 0)),
        ({"tasks": ["sums.yaml", "./sums.yaml"]}, ("tasks", 1)),
        ({"chat": "yes"}, ("chat",)),
        ({"num_fewshot": -1}, ("num_fewshot",)),
        ({"few": 1}, ("few",)),
    ],
)
def test_a_wrong_option_is_told_where_it_stands(folder: Path, options: dict[str, Any], path: tuple[Any, ...]) -> None:
    assert refused(folder, **options).path == path


def test_an_unknown_subset_is_told_with_the_nearest(folder: Path) -> None:
    bad = refused(folder, ("smus",))
    assert bad.path == ("subsets", 0)
    assert "sums" in bad.fix


def test_no_binary_and_no_endless_file_is_read(folder: Path) -> None:
    (folder / "wrong.yaml").write_bytes(b"\xff\xfe")
    assert "UTF-8" in refused(folder, tasks=["wrong.yaml"]).what
    (folder / "wrong.yaml").write_text("# " + "x" * 2**20)
    assert "1 MiB" in refused(folder, tasks=["wrong.yaml"]).what


def test_an_include_that_goes_in_circles_ends(folder: Path) -> None:
    (folder / "shared.yaml").write_text("include: sums.yaml\n" + SHARED)
    assert resolved(folder).subsets[0].name == "sums"


def test_figures_are_averaged_over_samples() -> None:
    answers = [
        StoredAnswer(sample=str(number), answer="", score=value, extra={f"{METRIC}acc": value, "new_tokens": 3})
        for number, value in enumerate((1.0, 0.0, 1.0, 1.0))
    ]
    scores = KIND.score("sums", answers)
    assert scores is not None
    assert scores.metrics == {"acc": 0.75}
    assert scores.samples == (1.0, 0.0, 1.0, 1.0)


def test_without_lm_eval_the_install_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passloop.apps.bench.adapters.lm_eval.find_spec", lambda _: None)
    with pytest.raises(BadValue, match="pip install"):
        ADAPTER.resolve_options({}, Path())
