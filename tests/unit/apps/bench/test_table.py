"""The table: differences to dense of the same model, intervals, gaps with their reasons; and its texts."""

from __future__ import annotations

import csv
import io
from typing import Any

from passloop.apps.bench.planned import Planned, PlannedCell
from passloop.apps.bench.results import CellResult
from passloop.apps.bench.table import table_of
from passloop.apps.bench.table_text import csv_text, failure_lines, field_text, markdown_text, table_lines


def result(model: str, sparse: str, column: str = "niah", seed: int = 0, **said: Any) -> CellResult:
    cell = PlannedCell(model, sparse, column, "", seed, f"{model}{sparse}{column}{seed}", "p", said.pop("metric", None))
    value = said.pop("value", None)
    metrics = said.pop("metrics", {"score": value} if value is not None else {})
    return CellResult(cell, said.pop("status", "done" if metrics else "pending"), metrics, **said)


def tabled(*results: CellResult, dense: tuple[str, ...] = ("dense",)) -> Any:
    return table_of(Planned("x", dense, tuple(each.cell for each in results)), results)


def field(table: Any, row: int, column: str = "niah") -> Any:
    return table.rows[row].fields[column, ""]


def test_the_difference_is_to_dense_of_the_same_model() -> None:
    table = tabled(
        result("a", "dense", value=0.5),
        result("a", "half", value=0.25),
        result("b", "dense", value=1.0),
        result("b", "half", value=0.75),
    )
    assert [field(table, row).difference for row in range(4)] == [0, -0.25, 0, -0.25]
    assert not any(field(tabled(result("a", "half", value=1.0)), 0).difference for _ in range(1))


def test_seeds_are_joined_and_a_missing_one_is_told() -> None:
    table = tabled(
        result("a", "dense", seed=0, value=0.0),
        result("a", "dense", seed=1, value=1.0),
        result("a", "dense", seed=2, status="failed", error_class="run_oom"),
    )
    found = field(table, 0)
    assert (found.value, found.done, found.planned, found.complete) == (0.5, 2, 3, False)
    assert field_text(found) == "0.5 [-5.85, 6.85] 2/3 run_oom"
    assert table.missing == 1


def test_a_row_with_a_gap_has_no_mean() -> None:
    table = tabled(
        result("a", "dense", "x", value=0.5),
        result("a", "dense", "y", value=1.0),
        result("a", "half", "x", value=0.5),
        result("a", "half", "y", status="failed", error_class="bug"),
    )
    assert [row.mean for row in table.rows] == [0.75, None]


def test_metrics_that_are_better_when_lower_are_not_mixed_with_others() -> None:
    table = tabled(
        result("a", "dense", "x", metrics={"score": 1.0}),
        result("a", "dense", "y", metrics={"perplexity": 9.0}),
    )
    assert dict(table.metrics) == {("x", ""): "score", ("y", ""): "perplexity"}
    assert table.rows[0].mean is None


def test_the_metric_that_was_said_is_shown() -> None:
    table = tabled(result("a", "dense", metrics={"score": 1.0, "exact": 0.25}, metric="exact"))
    assert field(table, 0).value == 0.25
    lacking = tabled(result("a", "dense", metrics={"score": 1.0}, metric="exact"))
    assert field(lacking, 0).why == "no exact"


def test_a_score_is_shown_before_what_was_written_first() -> None:
    table = tabled(result("a", "dense", metrics={"tokens": 300, "score": 0.5}))
    assert field(table, 0).metric == "score"
    other = tabled(
        result("a", "dense", metrics={"tokens": 300, "exact": 0.5}), result("a", "half", metrics={"exact": 1.0})
    )
    assert field(other, 0).metric == "exact", "else the number that most cells have"


def test_samples_give_the_interval_only_if_they_are_what_the_metric_is_the_mean_of() -> None:
    wide = result("a", "dense", value=0.5, scores=(0.0, 1.0, 0.0, 1.0))
    found = field(tabled(wide), 0)
    assert found.low < 0.5 < found.high
    other = field(tabled(result("a", "dense", value=0.9, scores=(0.0, 1.0))), 0)
    assert other.low is None


def test_texts_mark_what_is_missing_and_leave_empty_what_is_not_in_the_matrix() -> None:
    results = (
        result("a", "dense", "x", value=0.5, done={"usage": {"kept": 1.0}, "millis": {"run": 1500}}),
        result("a", "dense", "y", status="failed", error_class="run_oom", message="out | of\nmemory"),
        result("a", "=half", "x", value=0.25),
    )
    table = tabled(*results)
    assert table_lines(table) == [
        "model  sparse attention  x             y",
        "a      dense             0.5           - run_oom",
        "a      =half             0.25 (-0.25)",
    ]
    assert markdown_text(table).splitlines()[2] == "| a | dense | 0.5 | - run_oom |"
    rows = list(csv.DictReader(io.StringIO(csv_text(table))))
    assert [row["missing"] for row in rows] == ["", "run_oom", "", "not in the matrix"]
    assert rows[2]["sparse_attention"] == "'=half"
    assert failure_lines(results) == ["1 run_oom:", "  a / dense / y: out | of\\u{a}memory"]


def test_a_table_that_is_wider_than_the_screen_comes_in_parts() -> None:
    results = [result("a", "dense", f"column{number}", value=0.5) for number in range(4)]
    whole = table_lines(tabled(*results))
    assert len(whole) == 2
    parts = table_lines(tabled(*results), width=45)
    assert max(map(len, parts)) <= 45
    assert [line.split()[0] for line in parts if line] == ["model", "a"] * 3
    assert sorted(word for line in parts for word in line.split() if "column" in word) == [
        f"column{number}" for number in range(4)
    ]
    assert len(table_lines(tabled(*results), width=5)) == 14
