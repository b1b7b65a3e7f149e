"""Laws of matrices: no name leaves the results or meets another's folder, no cell is lost, no gap is averaged away."""

from __future__ import annotations

import itertools
import json
import math
import statistics
import tempfile
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from passloop.apps.bench.benchmarks.base import StoredAnswer
from passloop.apps.bench.identity import canonical
from passloop.apps.bench.intervals import interval_of_samples
from passloop.apps.bench.matrix import Matrix, matrix_of_file
from passloop.apps.bench.names import cell_path, folder_name
from passloop.apps.bench.planned import Planned, PlannedCell
from passloop.apps.bench.results import STATUSES, CellResult, counts_of
from passloop.apps.bench.samples import SampleLog, answers_of, lines_of
from passloop.apps.bench.summary import exit_code_of, summary_of
from passloop.apps.bench.table import table_of
from passloop.apps.errors import SpecError
from passloop.apps.spec_file import parse_spec

NASTY = st.text(alphabet='/\\:*?"<>|.\n\r\t\0 ab-_éß中AB\u202e', max_size=12) | st.text(max_size=300)
VISIBLE = st.text(alphabet="aAbB/\\:*?<>|._-é ", min_size=1, max_size=8).filter(
    lambda text: text == text.strip() != "<<"
)
DIGEST = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")


def matrix_of(spec: dict[str, Any]) -> Matrix:
    text = json.dumps({"bench": "law", "adapter": "fake", **spec})
    return matrix_of_file(parse_spec(text.encode(), name="m.yaml", folder=Path("/")), cwd="/")


@given(NASTY)
def test_a_folder_is_one_plain_name(name: str) -> None:
    made = folder_name(name)
    assert 0 < len(made) <= 81
    assert set(made) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert not made.startswith((".", "-"))
    assert made.upper() not in {"CON", "NUL", "AUX", "PRN", "COM1", "LPT1"}


@given(st.tuples(NASTY, NASTY, NASTY, NASTY), DIGEST)
def test_a_cell_never_leaves_the_results(names: tuple[str, str, str, str], cell: str) -> None:
    model, sparse, benchmark, subset = names
    path = PurePosixPath(cell_path(model=model, sparse_attention=sparse, benchmark=benchmark, subset=subset, cell=cell))
    assert not path.is_absolute()
    assert len(path.parts) == 5
    assert ".." not in path.parts
    assert path.name == cell[:10]


@given(st.sets(VISIBLE, min_size=1, max_size=3), st.sets(VISIBLE, min_size=1, max_size=3), st.sets(VISIBLE, max_size=3))
@settings(max_examples=60)
def test_distinct_cells_have_distinct_folders_on_any_file_system(
    models: set[str], benchmarks: set[str], subsets: set[str]
) -> None:
    spec = {"models": sorted(models), "benchmarks": {name: {"subsets": sorted(subsets)} for name in benchmarks}}
    cells = list(matrix_of(spec).cells())
    assert len(cells) == len(models) * len(benchmarks) * max(1, len(subsets))
    assert len({cell.hash for cell in cells}) == len({cell.path.casefold() for cell in cells}) == len(cells)


@given(st.data(), st.integers(1, 3), st.integers(1, 3), st.integers(0, 3))
@settings(max_examples=60)
def test_there_are_as_many_cells_as_the_product_less_what_is_left_out(
    data: st.DataObject, models: int, benchmarks: int, seeds: int
) -> None:
    axes = {
        "model": [f"m{n}" for n in range(models)],
        "benchmark": [f"b{n}" for n in range(benchmarks)],
        "seed": [str(n) for n in range(max(1, seeds))],
    }
    row = st.fixed_dictionaries({}, optional={name: st.sampled_from(values) for name, values in axes.items()})
    rows = data.draw(st.lists(row.filter(bool), max_size=2))
    spec: dict[str, Any] = {"models": axes["model"], "benchmarks": axes["benchmark"], "exclude": rows}
    if seeds:
        spec["seeds"] = seeds
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]
    kept = [point for point in points if not any(row.items() <= point.items() for row in rows)]
    if not kept:
        with pytest.raises(SpecError, match="no cell is left"):
            matrix_of(spec)
        return
    cells = matrix_of(spec).cells()
    assert [(c.names.model, c.names.benchmark, str(c.seed)) for c in cells] == [tuple(p.values()) for p in kept]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)
    )
)
def test_canonical_text_reads_back_and_does_not_know_the_order(value: Any) -> None:
    text = canonical(value)
    assert json.loads(text) == value
    if isinstance(value, dict):
        assert canonical(dict(reversed(value.items()))) == text


ANSWERS = st.lists(
    st.builds(
        StoredAnswer,
        sample=st.text(min_size=1, max_size=3),
        answer=st.text(max_size=9),
        reference=st.none() | st.lists(st.integers(), max_size=2),
        score=st.none() | st.floats(0, 1),
    ),
    max_size=6,
    unique_by=lambda each: each.sample,
)


@given(ANSWERS, st.integers(0, 400))
@settings(max_examples=60)
def test_answers_cut_off_anywhere_are_the_first_ones_and_can_go_on(answers: list[StoredAnswer], cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "answers.jsonl"
        path.write_bytes(lines_of(answers)[:cut])
        log = SampleLog(path)
        kept = list(log.answers)
        assert kept == [each.sample for each in answers[: len(kept)]]
        for each in answers:
            log.add(each)
        log.close()
        assert answers_of(path) == answers
        assert path.read_bytes() == lines_of(answers)


VALUES = st.floats(-5, 5, allow_nan=False) | st.sampled_from([float("nan"), float("inf")])


@st.composite
def matrices_of_results(draw: st.DrawFn) -> tuple[Planned, list[CellResult]]:
    results = []
    rows, columns, seeds = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 2))
    for row, column, seed in itertools.product(range(rows), range(columns), range(seeds)):
        cell = PlannedCell("m", f"s{row}", f"b{column}", "", seed, f"{row}{column}{seed}", "p", None)
        status = draw(st.sampled_from([*STATUSES, "done", "done", "done"]))
        metrics = {"score": draw(VALUES)} if status == "done" else {}
        results.append(CellResult(cell, status, metrics, error_class="bug" if status == "failed" else ""))
    return Planned("x", ("s0",), tuple(each.cell for each in results)), results


@given(matrices_of_results())
@settings(max_examples=80)
def test_every_cell_is_counted_once_and_no_gap_is_averaged_away(drawn: tuple[Planned, list[CellResult]]) -> None:
    planned, results = drawn
    counts = counts_of(results)
    assert sum(counts[status] for status in STATUSES) == counts["total"] == len(results)
    assert exit_code_of(counts) == (0 if all(each.status == "done" for each in results) else 1)
    assert summary_of(planned, results)["complete"] == (counts["done"] == counts["total"])
    table = table_of(planned, results)
    for row in table.rows:
        for field in row.fields.values():
            assert field.complete or field.why
            assert field.value is None or math.isfinite(field.value)
        if row.mean is not None:
            assert all(field.complete for field in row.fields.values())
            assert len(row.fields) == len(table.columns)


@given(st.lists(st.floats(0, 1), min_size=2, max_size=30))
@settings(max_examples=40)
def test_an_interval_is_the_same_each_time_and_lies_where_scores_can(values: list[float]) -> None:
    found = interval_of_samples([values])
    assert interval_of_samples([values[:1]]) is None
    if found is None:
        assert min(values) == max(values), "nothing is known only where nothing differs"
        return
    assert found == interval_of_samples([list(reversed(values))])
    low, high = found
    assert 0 <= low <= high <= 1
    assert low - 1e-9 <= statistics.fmean(values) <= high + 1e-9
