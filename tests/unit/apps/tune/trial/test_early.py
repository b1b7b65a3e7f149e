"""Which points come first, and when the rest of them is not worth its time."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from passloop.apps.tune.records import Objective, Order, Point, PointResult, Slo
from passloop.apps.tune.trial.early import cheap_first, gave_up, why_stop
from tests.support.trials import order_of
from tests.unit.apps.tune.studies import study

LOW, HIGH = Point(concurrency=2), Point(concurrency=8)
THROUGHPUT = Objective(metric="output_tokens_per_second", at="concurrency=8")
LATENCY = Objective(metric="ttft", stat="p95", at="concurrency=8", direction="minimize")


def order(*objectives: Objective, **changes: Any) -> Order:
    return order_of(objectives=objectives or (THROUGHPUT,), **changes)


def result(point: Point = LOW, **changes: Any) -> PointResult:
    metrics = {"output_tokens_per_second": {"mean": 100.0}, "ttft": {"p95": 200.0}}
    return msgspec.structs.replace(PointResult(point=point, metrics=metrics, requests=50), **changes)


def test_low_load_comes_before_high_and_closed_loops_before_open() -> None:
    points = [Point(rate=1.0), HIGH, Point(rate=0.5), LOW, Point(concurrency=2, requests=10)]
    assert [(point.name, point.requests) for point in cheap_first(points)] == [
        ("concurrency=2", 10),
        ("concurrency=2", 50),
        ("concurrency=8", 50),
        ("rate=0.5", 50),
        ("rate=1", 50),
    ]


def test_nothing_is_said_without_a_reason() -> None:
    assert why_stop(order(), [result()], [HIGH]) is None
    assert why_stop(order(best=399.0), [result()], [HIGH]) is None


def test_throughput_that_can_grow_with_the_load_is_no_defeat() -> None:
    """100 at two in flight can be 400 at eight, and 440 with luck."""
    assert why_stop(order(best=439.0), [result()], [HIGH]) is None
    assert why_stop(order(best=441.0), [result()], [HIGH]) == (
        "cannot beat the best: output_tokens_per_second mean at most 400, the best is 441"
    )


def test_a_latency_does_not_fall_with_load() -> None:
    assert why_stop(order(LATENCY, best=181.0), [result()], [HIGH]) is None
    assert "ttft p95 at least 200" in str(why_stop(order(LATENCY, best=179.0), [result()], [HIGH]))


def test_once_the_objective_is_measured_its_value_decides() -> None:
    at_low = msgspec.structs.replace(THROUGHPUT, at="concurrency=2")
    assert why_stop(order(at_low, best=109.0), [result()], [HIGH]) is None
    assert why_stop(order(at_low, best=111.0), [result()], [HIGH]) is not None


def test_a_closed_loop_says_nothing_of_an_open_one() -> None:
    objective = msgspec.structs.replace(THROUGHPUT, at="rate=1")
    assert why_stop(order(objective, best=1e9), [result()], [Point(rate=1.0)]) is None


def test_being_worse_in_one_of_two_objectives_is_no_defeat() -> None:
    assert why_stop(order(THROUGHPUT, LATENCY, best=1e9), [result()], [HIGH]) is None


def test_a_missed_slo_ends_the_candidate() -> None:
    slo = (Slo(metric="ttft", stat="p95", most=100.0),)
    assert why_stop(order(slo=slo), [result()], [HIGH]) == (
        "misses its SLO: ttft p95 at concurrency=2 is 200, at most 100 allowed"
    )


def test_an_slo_of_another_point_ends_nothing() -> None:
    slo = (Slo(metric="ttft", stat="p95", most=100.0, at="concurrency=8"),)
    assert why_stop(order(slo=slo), [result()], [HIGH]) is None


@pytest.mark.parametrize(("hard", "stops"), [(False, False), (True, True)])
def test_where_misses_are_penalties_only_a_hard_one_ends_the_candidate(hard: bool, stops: bool) -> None:
    slo = (Slo(metric="ttft", stat="p95", most=100.0, hard_fail=hard),)
    assert (why_stop(order(slo=slo, scorer="penalty"), [result()], [HIGH]) is not None) is stops


@pytest.mark.parametrize(("said", "told"), [("penalty", "penalty"), ("plain", "objective")])
def test_the_trial_is_told_how_the_study_scores(said: str, told: str) -> None:
    made = study(scorer=said, slo=[{"metric": "ttft", "max": "1s"}])
    assert made.order(made.candidate({"batch": 64, "slots": 1}), trial=1).scorer == told


def test_a_saturated_server_is_not_loaded_more() -> None:
    low, high = Point(rate=2.0), Point(rate=4.0)
    saturated = result(low, saturated=True)
    assert why_stop(order(), [saturated], [high]) == "is saturated at rate=2"
    assert why_stop(order(), [result(high, saturated=True)], [low]) is None


@pytest.mark.parametrize("changes", [{"trial": 0}, {"stop_early": False}])
def test_the_baseline_is_measured_whole_and_so_is_all_if_asked(changes: dict[str, Any]) -> None:
    assert why_stop(order(best=1e9, **changes), [result()], [HIGH]) is None


def test_a_point_that_the_client_gave_up_is_told_with_its_errors() -> None:
    assert gave_up(result()) is None
    assert gave_up(result(stopped="saturated")) == "gave up at concurrency=2: saturated"
    failing = result(stopped="error_rate", errors=7, requests=10)
    assert gave_up(failing) == "gave up at concurrency=2: error_rate (7 of 10 requests failed)"
