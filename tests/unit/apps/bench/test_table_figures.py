"""Facts about what a matrix compares: the same seeds, the same cells, as many samples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from passloop.apps.bench.planned import Planned, PlannedCell
from passloop.apps.bench.report_html import report_html
from passloop.apps.bench.results import CellResult
from passloop.apps.bench.table import table_of
from passloop.apps.bench.table_text import field_text, table_lines


def result(sparse: str, seed: int, value: float | None, column: str = "niah", **done: Any) -> CellResult:
    cell = PlannedCell("a", sparse, column, "", seed, f"{sparse}{column}{seed}", "p", None)
    scores = done.pop("scores", ())
    if value is None:
        return CellResult(cell, "failed", error_class="bug")
    return CellResult(cell, "done", {"score": value}, done=done, scores=scores)


def tabled(*results: CellResult) -> Any:
    return table_of(Planned("x", ("dense",), tuple(each.cell for each in results)), results)


def fields(*results: CellResult) -> list[Any]:
    return [row.fields["niah", ""] for row in tabled(*results).rows]


def timed(sparse: str, seconds: float, column: str = "niah", kept: int = 0) -> CellResult:
    done = {"millis": {"run": round(1000 * seconds)}, "samples": {"answered": 8, "kept": kept}, "usage": {"kept": 0.5}}
    return result(sparse, 0, 1.0, column, **done)


def test_a_difference_is_over_the_seeds_that_both_have() -> None:
    # the hard seed 1 failed under half: against all of dense it would look better by 0.3
    dense, half = fields(
        result("dense", 0, 0.9), result("dense", 1, 0.1), result("half", 0, 0.8), result("half", 1, None)
    )
    assert dense.value == 0.5
    assert (half.value, round(half.difference, 9)) == (0.8, -0.1)
    assert field_text(half) == "0.8 (-0.1) 1/2 bug"


def test_without_a_common_seed_there_is_no_difference() -> None:
    found = fields(result("dense", 0, 0.9), result("dense", 1, None), result("half", 0, None), result("half", 1, 0.5))
    assert found[1].difference is None


def test_another_number_of_samples_than_dense_is_told() -> None:
    results = (
        result("dense", 0, 0.5, samples={"answered": 100}),
        result("half", 0, 0.75, samples={"answered": 4}),
        result("same", 0, 0.75, samples={"answered": 100}),
    )
    assert [field_text(each) for each in fields(*results)] == [
        "0.5",
        "0.75 (+0.25) (4 samples, dense 100)",
        "0.75 (+0.25)",
    ]
    page = report_html(Planned("x", ("dense",), tuple(each.cell for each in results)), results, made_at=0)
    assert page.count("(4 samples, dense 100)") == 1


def test_time_and_cache_are_means_over_the_same_cells_or_not_told() -> None:
    # half has only its short cell: its mean time would be a tenth of dense's
    table = tabled(
        timed("dense", 1.0, "short"),
        timed("dense", 19.0, "long"),
        timed("half", 1.0, "short"),
        result("half", 0, None, "long"),
    )
    assert [(row.seconds, row.kept) for row in table.rows] == [(10.0, 0.5), (None, None)]


def test_a_cell_that_went_on_after_an_interruption_tells_no_time() -> None:
    whole, partly = tabled(timed("dense", 8.0), timed("half", 1.0, kept=7)).rows
    assert (whole.seconds, partly.seconds) == (8.0, None)
    assert partly.kept == 0.5


def test_a_mean_over_unlike_metrics_is_called_so() -> None:
    def both(first: str, second: str) -> Any:
        results = [result("dense", 0, 0.5, "x"), result("dense", 0, 0.7, "y")]
        named = [replace(each, metrics={name: 0.5}) for each, name in zip(results, (first, second), strict=True)]
        return table_lines(tabled(*named))[0]

    assert both("f1", "exact").endswith("  mean of unlike metrics")
    assert both("f1", "f1").endswith("  mean")


def test_a_plot_says_that_a_row_without_its_figure_is_not_drawn() -> None:
    def page(*results: CellResult) -> str:
        planned = Planned("x", ("dense",), tuple(each.cell for each in results))
        return report_html(planned, results, made_at=0)

    rows = [timed("dense", 8.0), timed("half", 4.0), timed("quarter", 2.0)]
    assert "are not drawn" not in page(*rows)
    assert "Rows with gaps, or without such a figure, are not drawn." in page(*rows, timed("other", 1.0, kept=7))


def test_the_interval_is_of_samples_only_if_each_seed_is_their_mean() -> None:
    scores = (1.0, 0.0, 1.0, 0.0)
    (of_samples,) = fields(result("dense", 0, 0.5, scores=scores), result("dense", 1, 0.5, scores=scores))
    assert (round(of_samples.low, 3), round(of_samples.high, 3)) == (0.15, 0.85)
    (of_seeds,) = fields(result("dense", 0, 0.25, scores=scores), result("dense", 1, 0.75, scores=scores))
    assert of_seeds.low < 0, "the means of both agree, but no seed's score is that of its samples"
