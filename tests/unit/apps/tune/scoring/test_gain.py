"""Gains are shares of the baseline, better is positive, and intervals come from repeats only."""

from __future__ import annotations

import pytest

from passloop.apps.tune.records import Objective
from passloop.apps.tune.scoring.gain import gain
from tests.support.trial_documents import complete, failed, point

FAST = Objective(metric="goodput")
SOON = Objective(metric="ttft", direction="minimize")


def test_more_of_what_is_maximised_and_less_of_what_is_minimised_is_a_gain() -> None:
    base, other = complete(0, point(goodput=10, ttft=200)), complete(1, point(goodput=12, ttft=150))
    assert gain(other, base, FAST) == (pytest.approx(0.2), None, None)
    assert gain(other, base, SOON) == (pytest.approx(0.25), None, None)
    assert gain(base, other, SOON) == (pytest.approx(-1 / 3), None, None)


def test_repeats_give_an_interval_around_the_gain() -> None:
    base = complete(0, point(repeats=3, goodput=100, width_goodput=4.3027))
    other = complete(1, point(repeats=3, goodput=120, width_goodput=4.3027))
    found = gain(other, base, FAST)
    assert found is not None
    assert found.value == pytest.approx(0.2)
    assert found.low == pytest.approx(1.2 / 1.0373 - 1, abs=2e-3)
    assert found.high == pytest.approx(1.2 * 1.0373 - 1, abs=2e-3)
    assert found.certain


def test_the_interval_of_a_minimised_gain_is_the_right_way_round() -> None:
    base = complete(0, point(repeats=3, ttft=100, width_ttft=10))
    found = gain(complete(1, point(repeats=3, ttft=99, width_ttft=10)), base, SOON)
    assert found is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.value < found.high
    assert not found.certain


def test_repeats_without_any_spread_have_an_interval_of_no_width() -> None:
    base = complete(0, point(repeats=2, goodput=10, width_goodput=0))
    found = gain(complete(1, point(repeats=2, goodput=20, width_goodput=0)), base, FAST)
    assert found == (1.0, 1.0, 1.0)


def test_without_two_values_there_is_no_gain() -> None:
    base = complete(0, point(goodput=10))
    assert gain(failed(1, point(goodput=20)), base, FAST) is None
    assert gain(base, complete(1, point(ttft=20)), FAST) is None
    assert gain(base, complete(1, point(goodput=0)), FAST) is None


def test_one_repeated_and_one_single_measurement_have_no_interval() -> None:
    base = complete(0, point(repeats=3, goodput=10, width_goodput=1))
    found = gain(complete(1, point(goodput=20)), base, FAST)
    assert found is not None
    assert found.low is None
    assert not found.certain


def test_the_baseline_gains_nothing_against_itself() -> None:
    base = complete(0, point(repeats=3, goodput=10, width_goodput=1))
    assert gain(base, base, FAST) == (0.0, None, None)


def test_spreads_that_are_nearly_nothing_have_an_interval_too() -> None:
    base = complete(0, point(repeats=2, goodput=10, width_goodput=0))
    found = gain(complete(1, point(repeats=2, goodput=20, width_goodput=1e-100)), base, FAST)
    assert found is not None
    assert found.low == pytest.approx(1.0)
