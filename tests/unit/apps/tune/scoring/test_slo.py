"""Limits hold at each point, and what was not measured keeps none."""

from __future__ import annotations

import pytest

from passloop.apps.tune.records import Slo
from passloop.apps.tune.scoring.slo import checks, judge, judge_point, request_limits
from tests.support.trial_documents import complete, failed, point

TTFT = Slo(metric="ttft", stat="p95", most=800)
GOODPUT = Slo(metric="goodput", least=2)


def test_a_trial_that_keeps_all_limits_is_feasible() -> None:
    document = complete(1, point(ttft_p95=800, goodput=2))
    assert judge(document, [TTFT, GOODPUT]) == (True, ())


def test_a_violation_says_by_how_much_of_the_limit() -> None:
    feasible, (violation,) = judge(complete(1, point(ttft_p95=1000)), [TTFT])
    assert not feasible
    assert (violation.at, violation.actual, violation.excess) == ("concurrency=4", 1000, 0.25)
    assert str(violation) == "ttft p95 at concurrency=4 is 1000, at most 800 allowed"


def test_a_lower_limit_is_missed_from_below() -> None:
    (check,) = checks([point(goodput=1.5)], [GOODPUT])
    assert check.excess == 0.25
    assert str(check) == "goodput mean at concurrency=4 is 1.5, at least 2 allowed"


def test_a_limit_without_a_point_holds_at_each_point() -> None:
    document = complete(1, point("concurrency=1", ttft_p95=100), point("concurrency=8", ttft_p95=900))
    feasible, violations = judge(document, [TTFT])
    assert not feasible
    assert [violation.at for violation in violations] == ["concurrency=8"]


def test_slos_never_average_over_concurrencies() -> None:
    """The mean of 100 and 1400 would keep a limit of 800."""
    document = complete(1, point("concurrency=1", ttft_p95=100), point("concurrency=8", ttft_p95=1400))
    assert not judge(document, [TTFT]).feasible


def test_a_limit_at_one_point_says_nothing_of_others() -> None:
    document = complete(1, point("concurrency=1", ttft_p95=100), point("concurrency=8", ttft_p95=900))
    assert judge(document, [Slo(metric="ttft", stat="p95", most=800, at="concurrency=1")]).feasible


def test_a_metric_that_was_not_measured_misses_its_limit() -> None:
    feasible, (violation,) = judge(complete(1, point(e2e=5)), [TTFT])
    assert not feasible
    assert violation.excess is None
    assert violation.hard
    assert "not measured" in str(violation)


def test_a_point_that_was_not_measured_misses_its_limit() -> None:
    feasible, (violation,) = judge(complete(1, point()), [Slo(metric="ttft", most=1, at="rate=9")])
    assert not feasible
    assert violation.at == "rate=9"


def test_what_failed_or_measured_nothing_is_never_feasible() -> None:
    assert not judge(failed(1, point(ttft_p95=1)), [TTFT]).feasible
    assert not judge(failed(1, point(ttft_p95=1)), []).feasible
    assert not judge(complete(1), []).feasible


def test_a_point_that_was_given_up_is_infeasible_whatever_it_measured_before() -> None:
    half = point(ttft_p95=1, stopped="saturated")
    assert not judge(complete(1, half), []).feasible
    assert not judge_point(half, []).feasible
    assert not judge(complete(1, half), [TTFT]).feasible


def test_a_limit_of_zero_is_missed_by_the_value_itself() -> None:
    (check,) = checks([point(error_rate=0.02)], [Slo(metric="error_rate", most=0)])
    assert check.excess == pytest.approx(0.02)
    assert not check.kept


def test_a_point_is_judged_by_the_limits_that_hold_there() -> None:
    elsewhere = Slo(metric="ttft", stat="p95", most=1, at="concurrency=8")
    assert judge_point(point(ttft_p95=700), [TTFT, elsewhere]).feasible
    assert not judge_point(point("concurrency=8", ttft_p95=700), [TTFT, elsewhere]).feasible


def test_requests_are_asked_for_the_widest_limit_on_each_latency() -> None:
    slo = [
        Slo(metric="ttft", stat="mean", most=200),
        Slo(metric="ttft", stat="p99", most=800),
        Slo(metric="tpot", most=50, at="rate=2"),
        Slo(metric="e2e", most=9000, at="rate=4"),
        GOODPUT,
    ]
    assert request_limits(slo, "rate=2") == {"ttft": 800, "tpot": 50}
