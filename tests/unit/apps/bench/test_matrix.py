"""A spec becomes its cells: in order, once each, without those left out; and every mistake is told at its place."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from passloop.apps.bench.matrix import matrix_of
from passloop.apps.bench.rules import Rule
from passloop.apps.bench.spec import Benchmark, BenchSpec, Defaults, ModelEntry, SparseAttention
from passloop.apps.errors import SpecError
from tests.unit.apps.bench.places import FAKE, cells_of, complaints_of_text, matrix_of_text


def labels(text: str, folder: Path) -> list[str]:
    return [cell.label for cell in cells_of(text, folder)]


def test_cells_come_by_model_then_configuration_then_benchmark_then_subset(tmp_path: Path) -> None:
    assert labels(FAKE, tmp_path)[:7] == [
        "a / dense / niah / s1",
        "a / dense / niah / s2",
        "a / dense / words",
        "a / half / niah / s1",
        "a / half / niah / s2",
        "a / half / words",
        "b / dense / niah / s1",
    ]


def test_a_benchmark_without_subsets_is_one_cell(tmp_path: Path) -> None:
    words = [cell for cell in cells_of(FAKE, tmp_path) if cell.names.benchmark == "words"]
    assert len(words) == 4
    assert {cell.names.subset for cell in words} == {""}
    assert {cell.path.split("/")[3] for cell in words} == {"whole"}


def test_a_name_alone_is_an_empty_entry_and_a_number_a_subset(tmp_path: Path) -> None:
    text = "bench: x\nadapter: fake\nmodels: [a, b]\nbenchmarks:\n  c: {subsets: [512, 1024]}\n  d:\n"
    assert labels(text, tmp_path)[:3] == ["a / dense / c / 512", "a / dense / c / 1024", "a / dense / d"]


def test_rows_leave_out_and_keep_cells_by_names_and_patterns(tmp_path: Path) -> None:
    text = FAKE + "exclude: [{model: a, benchmark: niah}, {sparse_attention: h*, subset: s2}]\n"
    assert labels(text, tmp_path) == [
        "a / dense / words",
        "a / half / words",
        "b / dense / niah / s1",
        "b / dense / niah / s2",
        "b / dense / words",
        "b / half / niah / s1",
        "b / half / words",
    ]
    assert labels(FAKE + "include: [{model: [a], subset: s1}]\n", tmp_path) == [
        "a / dense / niah / s1",
        "a / half / niah / s1",
    ]


def test_a_pattern_is_the_whole_name() -> None:
    rule = Rule({"model": ("l*-8b", "x?")})
    names = ("l-8b", "llama-8b", "llama-8b-it", "b8-amall", "a-llama-8b", "xy", "x", "L-8b")
    assert [name for name in names if rule.matches({"model": name})] == ["l-8b", "llama-8b", "xy"]
    assert rule.matches({"benchmark": "any"})


def test_seeds_are_an_axis(tmp_path: Path) -> None:
    cells = cells_of(FAKE + "seeds: [3, 5]\nexclude: [{seed: 5, model: b}]\n", tmp_path)
    assert [cell.seed for cell in cells[:4]] == [3, 5, 3, 5]
    assert len(cells) == 18
    assert len({cell.path for cell in cells}) == 18


def test_the_later_word_wins_and_arguments_are_merged(tmp_path: Path) -> None:
    text = """
bench: x
adapter: fake
models: {a: {generation: {top_k: 5}, samples: 7}, b: {}}
benchmarks: {c: {generation: {max_new_tokens: 9}}}
defaults: {generation: {max_new_tokens: 1, temperature: 0.5}, samples: 2, seed: 4}
time_limit: 1m
overrides:
  - {where: {model: b}, set: {samples: 3, time_limit: 2m, resources: {cpus: 2}}}
resources: {cpus: 1, mem: 1GiB}
"""
    first, second = cells_of(text, tmp_path)
    assert first.settled.generation == {"max_new_tokens": 9, "temperature": 0.5, "top_k": 5}
    assert (first.settled.samples, first.settled.time_limit, first.seed) == (7, 60_000, 4)
    assert (second.settled.samples, second.settled.time_limit) == (3, 120_000)
    assert (second.settled.resources.cpus, second.settled.resources.mem) == (2_000, 1_024)


def test_equal_cells_come_once(tmp_path: Path) -> None:
    text = "bench: x\nadapter: fake\nmodels: [a]\nbenchmarks: {c: {}}\nseeds: [1]\n"
    both = text + "overrides: [{where: {seed: 1}, set: {time_limit: 5m}}]\n"
    assert [cell.hash for cell in cells_of(text, tmp_path)] == [cell.hash for cell in cells_of(both, tmp_path)]
    matrix = matrix_of_text(FAKE, tmp_path)
    assert matrix.places() == len(list(matrix.cells()))


def test_ten_thousand_cells_expand(tmp_path: Path) -> None:
    spec = {
        "bench": "x",
        "adapter": "fake",
        "models": [f"m{n}" for n in range(10)],
        "sparse_attention": {f"s{n}": {"method": "knorm", "ratio": n / 10} for n in range(10)},
        "benchmarks": {f"b{n}": {"subsets": [f"u{m}" for m in range(10)]} for n in range(10)},
    }
    cells = list(matrix_of_text(json.dumps(spec), tmp_path).cells())
    assert len(cells) == len({cell.hash for cell in cells}) == len({cell.path for cell in cells}) == 10_000


def test_python_objects_are_the_same_matrix(tmp_path: Path) -> None:
    spec = BenchSpec(
        bench="small",
        adapter="fake",
        models={"a": ModelEntry(), "b": ModelEntry()},
        sparse_attention={
            "dense": SparseAttention(),
            "half": SparseAttention.model_validate({"method": "knorm", "compression_ratio": 0.5}),
        },
        benchmarks={"niah": Benchmark(subsets=["s1", "s2"], samples=3), "words": Benchmark(samples=2)},
        defaults=Defaults(),
    )
    made = [cell.hash for cell in matrix_of(spec, cwd=str(tmp_path)).cells()]
    assert made == [cell.hash for cell in cells_of(FAKE, tmp_path)]
    with pytest.raises(SpecError, match=r"adapter: there is no adapter `fak`"):
        matrix_of(spec.model_copy(update={"adapter": "fak"}), cwd=str(tmp_path))


def test_every_mistake_is_told_at_its_place(tmp_path: Path) -> None:
    text = """bench: x
adapter: fake
options: {second: 1}
models: {a: {}}
sparse_attention: {half: {method: knorm}}
benchmarks: {niah: {subsets: [s1]}}
exclude:
  - {model: b}
  - {subset: s3}
cwd: nowhere
"""
    found = complaints_of_text(text, tmp_path)
    assert found == [
        "m.yaml:3:19 the adapter fake has no option `second`; did you mean `seconds`?",
        "m.yaml:8:13 `b` is no model of this matrix; use one of: a",
        "m.yaml:9:14 `s3` is no subset of this matrix; use one of: s1",
        "m.yaml:10:6 the directory nowhere does not exist; create it, or name another",
    ]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("modles: {a: {}}", "m.yaml:1:54 unknown key `modles`; did you mean `models`?"),
        ("models: {}", "there is no name; name at least one"),
        ("models: {a: {sorce: x}}", "unknown key `sorce`; did you mean `source`?"),
        ("benchmarks: {b: {subsets: [x, x]}}", "the subset `x` is there twice; name it once"),
        ("benchmarks: {b: {subset: [x]}}", "m.yaml:1:31 unknown key `subset`; did you mean `subsets`?"),
        ("benchmarks: {b: {seed_file: x, metrics: y}}", "unknown key `metrics`; did you mean `metric`?"),
        ("seeds: [1, 1]", "the seed 1 is there twice"),
        ("first: longst", "first is `longst`; did you mean `longest`?"),
        ("exclude: [{modle: a}]", "`modle` is no axis; did you mean `model`?"),
        ("resources: {gpus: aut}", "GPU count `aut` is not readable"),
        ("time_limit: 0", "a limit of 0 would end the cell at once"),
        ("retries: {netwrk: 3}", "`netwrk` is no class of errors; did you mean `network`?"),
        ("defaults: {generation: {x: .nan}}", "this number is not finite"),
        ("command: [x]", "`command` is not for the adapter fake"),
        ("adapter: comand", "there is no adapter `comand`; did you mean `command`?"),
        ("limit: 1\nseeds: 2", "the matrix has 2 points, over the limit of 1"),
        ("exclude: [{model: a}]", "no cell is left; exclude less"),
    ],
)
def test_a_mistake_says_how_to_mend_it(tmp_path: Path, line: str, says: str) -> None:
    whole = {"models": "{a: {}}", "benchmarks": "{b: {}}", "adapter": "fake"}
    key = line.split(":")[0]
    rest = "".join(f"{name}: {value}\n" for name, value in whole.items() if name != key)
    found = complaints_of_text(f"bench: x\n{line}\n{rest}", tmp_path)
    assert any(says.split(" ", 1)[1] in each if says.startswith("m.yaml") else says in each for each in found), found


def test_results_lie_where_the_user_is_and_commands_run_beside_the_spec(tmp_path: Path) -> None:
    folder, here = tmp_path / "specs", tmp_path / "here"
    folder.mkdir()
    here.mkdir()
    matrix = matrix_of_text(FAKE + "cwd: .\n", folder, cwd=here)
    assert matrix.cwd == str(folder)
    assert matrix.out == os.path.join(here, "results", "small")
    assert matrix_of_text(FAKE + "out: ../else\n", folder, cwd=here).out == str(tmp_path / "else")


@pytest.mark.parametrize("slip", ["methd", "mehtod", "methods", "metod"])
def test_a_method_that_is_misspelt_is_no_parameter(tmp_path: Path, slip: str) -> None:
    text = FAKE.replace("{method: knorm, compression_ratio: 0.5}", f"{{{slip}: knorm, compression_ratio: 0.5}}")
    (said,) = complaints_of_text(text, tmp_path)
    assert said.startswith("m.yaml:5:")
    assert f"{slip} would be a parameter of no method" in said.replace('"', "").replace("`", "").replace("'", "")
    assert said.endswith("did you mean `method`?")


def test_parameters_without_a_method_are_free_where_names_are(tmp_path: Path) -> None:
    text = FAKE.replace("{method: knorm, compression_ratio: 0.5}", "{model_size: 3, threshold: 0.5}")
    assert len(cells_of(text, tmp_path)) == 12
