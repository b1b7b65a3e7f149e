"""Facts about the figures of a report: what a mean is taken over, how it is ranked, what is counted and not shown."""

from __future__ import annotations

import io
import re

from rich.console import Console

from passloop.apps.queue.report import Report, build_report
from passloop.apps.queue.report_html import report_html
from passloop.apps.queue.report_text import metric_text, print_report
from tests.support.json_tasks import START, attempt, task


def report_of(*tasks: dict[str, object]) -> Report:
    return build_report(tasks, made_at=START + 60_000, log_of=lambda _: "")


def repeats(depth: int, *values: float, broken: float | None = None, first: int = 1) -> list[dict[str, object]]:
    """Repeats of one cell that took 10 s each; the broken one left its figure after 1 s, and failed."""
    made = [
        task(first + seed, attempt(0, 10), params={"depth": depth, "seed": seed}, results={"accuracy": value})
        for seed, value in enumerate(values)
    ]
    if broken is not None:
        failed = attempt(0, 1, outcome="failure", exit_code=1)
        params = {"depth": depth, "seed": len(made)}
        made.append(task(first + len(made), failed, params=params, results={"accuracy": broken}))
    return made


def printed(report: Report, width: int = 120) -> str:
    out = io.StringIO()
    print_report(report, Console(file=out, width=width))
    return out.getvalue()


def test_what_a_failed_repeat_left_is_in_no_mean_and_wins_no_place() -> None:
    report = report_of(*repeats(2, 0.5, 0.7, broken=1.0), *repeats(4, 0.65, 0.75, first=10))
    assert [cell.params["depth"] for cell in report.cells] == [4, 2]
    low = report.cells[1]
    assert (round(low.metrics["accuracy"].mean, 9), low.metrics["accuracy"].count) == (0.6, 2)
    assert low.seconds == 10
    assert [line.split()[1] for line in printed(report).splitlines() if line.split()[:1] == ["2"]] == ["2/3"]


def test_a_cell_of_which_nothing_succeeded_still_tells_how_long_it_took() -> None:
    assert report_of(*repeats(2, broken=1.0)).cells[0].seconds == 1


def test_the_time_of_a_repeat_is_that_of_its_latest_attempt() -> None:
    tried = task(1, attempt(0, 30, outcome="failure", exit_code=1), attempt(40, 45), results={"x": 1})
    again = task(2, attempt(0, 7), attempt(20, None, outcome=None))
    assert [row.seconds for row in report_of(tried, again).rows] == [5, 7]


def test_a_mean_over_fewer_repeats_than_succeeded_says_so() -> None:
    report = report_of(*repeats(2, 0.5, float("nan"), 0.7), *repeats(4, 0.4, 0.5, 0.6, first=10))
    assert [metric_text(cell, "accuracy") for cell in report.cells] == ["0.60 ± 0.14 (2 of 3)", "0.50 ± 0.10"]
    assert "0.60 ± 0.14 (2 of 3)" in printed(report)
    assert report_html(report).count("0.60 ± 0.14 (2 of 3)") == 2


def test_numbers_that_are_not_finite_or_of_failed_repeats_move_no_dot() -> None:
    page = report_html(report_of(*repeats(2, 0.5, float("inf"), broken=9.0), *repeats(4, 0.75, float("nan"), first=9)))
    assert "accuracy: 0.5 to 0.75" in page
    assert re.findall(r'cx="([^"]*%)"', page) == ["96.00%", "4.00%"]


def test_the_order_says_which_way_it_goes() -> None:
    report = report_of(*repeats(2, 0.5), *repeats(4, 0.75, first=10))
    assert "digits (run 7), by accuracy, highest first" in " ".join(printed(report).split())
    assert "Cells by accuracy, highest first;" in report_html(report)


def test_metrics_that_do_not_fit_are_counted() -> None:
    wide = task(1, attempt(0, 1), params={"a": 1}, results={f"m{number}": number + 0.5 for number in range(8)})
    assert "... and 2 more metrics: `passloop export 7`" in printed(report_of(wide), 200)
    assert "more metric" not in printed(report_of(*repeats(2, 0.5)))


def test_failures_that_are_not_shown_are_counted_in_each_class() -> None:
    def failed(number: int, outcome: str) -> dict[str, object]:
        return task(number, attempt(0, 1, outcome=outcome, exit_code=1))

    many = [*(failed(n, "failure") for n in range(40)), *(failed(n, "timeout") for n in range(40, 70))]
    page = report_html(report_of(*many))
    assert page.count("<details") == 50
    assert page.count('<details open=""') == 3
    assert "and 20 more of this class" in page
