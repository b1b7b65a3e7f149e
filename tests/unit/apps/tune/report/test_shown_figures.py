"""Figures of a study as they are shown: units of columns, what is the best so far, and what chance may have decided."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from passloop.apps.tune.plan import plan_of
from passloop.apps.tune.records import Slo
from passloop.apps.tune.report.lines import closing_lines, headings, trial_cells, why_not
from passloop.apps.tune.report.page import report_html
from passloop.apps.tune.report.plots import importance, progress
from passloop.apps.tune.report.standing import Standing
from passloop.apps.tune.report.units import bare_text, figure_text, slo_text
from passloop.apps.tune.search.expander import aims_of
from passloop.apps.tune.study import Study
from passloop.apps.tune.study_view import Trial
from tests.support.study_trials import measured
from tests.unit.apps.tune.studies import study

LATENCY = [{"metric": "e2e", "stat": "p95", "at": {"concurrency": 4}}]


def standing(made: Study, *trials: Trial) -> Standing:
    return Standing(made, aims_of(made), trials)


def repeated(made: Study, number: int, batch: int, value: float, width: float) -> Trial:
    """A trial whose points were repeated three times; `width` is half its interval."""
    trial = measured(
        made, number, {"batch": batch, "slots": 1}, value, width_output_tokens_per_second=width, ttft_p95=1.0
    )
    document = trial.document
    assert document is not None
    points = [msgspec.structs.replace(each, point=_thrice(each.point)) for each in document.points]
    return replace(trial, document=msgspec.structs.replace(document, points=points))


def _thrice(point: Any) -> Any:
    return msgspec.structs.replace(point, repeats=3)


def test_a_column_of_latencies_is_in_the_unit_of_its_heading() -> None:
    made = study(objectives=LATENCY)
    told = standing(
        made,
        measured(made, 0, {"batch": 64, "slots": 1}, 1.0, e2e_p95=9_500.0),
        measured(made, 1, {"batch": 128, "slots": 1}, 1.0, e2e_p95=12_345.6),
    )
    column = [heading.text for heading in headings(told)].index("e2e p95 (ms) at concurrency=4")
    assert [trial_cells(told, trial)[column].text for trial in told.trials] == ["9500", "12346"]
    assert figure_text("e2e", 12_345.6) == "12.3 s"


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0.0"),
        (0.0001, "<0.1"),
        (0.0005, "0.1"),
        (0.5, "50.0"),
        (0.9994, "99.9"),
        (0.9999, ">99.9"),
        (1.0, "100.0"),
    ],
)
def test_what_is_not_none_or_not_all_does_not_look_so(share: float, text: str) -> None:
    assert bare_text("attainment", share) == text
    assert figure_text("error_rate", share) == f"{text} %"


@pytest.mark.parametrize(("most", "text"), [(0.0001, "0.01 %"), (0.01, "1 %"), (0.125, "12.5 %"), (0.0, "0 %")])
def test_a_limit_is_told_as_it_was_said(most: float, text: str) -> None:
    assert slo_text(Slo(metric="error_rate", most=most)) == f"error_rate <= {text}"


def test_a_limit_of_what_was_not_measured_says_so() -> None:
    made = study(slo=[{"metric": "tpot", "stat": "p90", "max": "100ms", "at": {"concurrency": 4}}])
    told = standing(made, measured(made, 0, {"batch": 64, "slots": 1}, 1.0))
    assert why_not(told, told.trials[0]) == "tpot p90 not measured at concurrency=4"


@pytest.mark.parametrize(
    ("metric", "value", "text"),
    [("ttft", 0.5, "0.50"), ("error_rate", 0.125, "12.5"), ("goodput", 12.34, "12.3"), ("max_load", 8.0, "8.00")],
)
def test_a_column_has_no_units_in_its_cells(metric: str, value: float, text: str) -> None:
    assert bare_text(metric, value) == text
    assert bare_text(metric, None) == ""


def test_trials_within_the_interval_of_the_best_are_not_told_apart_from_it() -> None:
    made = study()
    told = standing(
        made,
        repeated(made, 0, 64, 100.0, width=10.0),
        repeated(made, 1, 128, 102.0, width=10.0),
        repeated(made, 2, 256, 50.0, width=1.0),
    )
    assert told.best is told.trials[1]
    assert [trial.number for trial in told.rivals] == [0]
    assert "  not told apart by its repeats (95 %): trial 0" in list(closing_lines(told))
    assert "not told apart by its repeats (95 %): trial 0." in report_html(told, made_at=0)


def test_without_repeats_nothing_is_said_of_chance() -> None:
    made = study()
    told = standing(
        made,
        measured(made, 0, {"batch": 64, "slots": 1}, 100.0),
        measured(made, 1, {"batch": 128, "slots": 1}, 100.1),
    )
    assert told.rivals == ()
    assert not [line for line in closing_lines(told) if "told apart" in line]
    assert standing(made).rivals == ()


def test_the_best_so_far_ends_with_the_best_where_misses_are_penalised() -> None:
    slo = [{"metric": "ttft", "stat": "p95", "max": "100ms", "at": {"concurrency": 4}}]
    made = study(slo=slo, scorer="penalty")
    told = standing(
        made,
        measured(made, 0, {"batch": 64, "slots": 1}, 100.0, ttft_p95=90.0),
        measured(made, 1, {"batch": 128, "slots": 1}, 150.0, ttft_p95=200.0),
        measured(made, 2, {"batch": 256, "slots": 1}, 120.0, ttft_p95=90.0),
    )
    assert told.best is told.trials[2]
    line = re.search(r'<path d="([^"]*)" class="s2"', str(progress(told)))
    assert line is not None
    numbers = [float(number) for number in re.findall(r"[\d.]+", line.group(1))]
    across, up = numbers[::2], numbers[1::2]
    assert across[0] < across[1] == across[2] == across[3], "the one step is at the last trial"
    assert up[0] == up[1] > up[2] == up[3], "and goes up"


def test_what_groups_explain_by_chance_alone_is_no_importance() -> None:
    # groups 1, 3 and 2, 4: means 2 and 3, so 1 of 5 lies between them, and by chance alone 2 of 5 would
    made = study(space={"batch": [1, 2], "slots": [1, 2]})
    params = [(1, 1), (2, 1), (1, 2), (2, 2)]
    trials = [measured(made, n, {"batch": b, "slots": s}, n + 1.0) for n, (b, s) in enumerate(params)]
    # slots: groups 1, 2 and 3, 4: 4 of 5 between, less half of the 1 within: 3.5 of 5
    assert dict(importance(standing(made, *trials))) == {"slots": pytest.approx(0.7), "batch": 0.0}


@pytest.mark.parametrize(
    ("stat", "requests", "warned"), [("p99", 50, True), ("p99", 100, False), ("p95", 19, True), ("mean", 1, False)]
)
def test_a_percentile_of_too_few_requests_is_warned_of(stat: str, requests: int, warned: bool) -> None:
    point = {"concurrency": 4, "requests": requests}
    made = study(load={"points": [point]}, objectives=[{"metric": "ttft", "stat": stat}])
    told = [each for each in plan_of(made).warnings if "slowest" in each]
    assert bool(told) is warned
    assert not told or told[0].startswith(f"{stat} of {requests} requests at concurrency=4")


def test_a_rate_for_some_seconds_has_no_more_requests_than_come_in_them() -> None:
    load = {"points": [{"rate": 2, "requests": 500, "seconds": 5}]}
    made = study(load=load, objectives=[{"metric": "ttft", "stat": "p95"}])
    assert [each for each in plan_of(made).warnings if each.startswith("p95 of 10 requests at rate=2")]


def test_the_time_of_a_point_has_the_warm_up_of_each_repeat() -> None:
    point = {"concurrency": 1, "requests": 10, "warmup": 5, "repeats": 4}
    made = study(load={"points": [point], "max_tokens": 10}, objectives=["minimize_ttft"])
    once = study(load={"points": [{**point, "repeats": 1}], "max_tokens": 10}, objectives=["minimize_ttft"])
    assert plan_of(made).each_ms - plan_of(once).each_ms == 3 * 15 * 10 * 30
