"""Arrivals are fixed before the first request, and have the rate and the spread that was asked for."""

from __future__ import annotations

from itertools import pairwise
from statistics import fmean, pstdev

import pytest

from passloop.apps.tune.load.arrivals import arrivals
from passloop.apps.tune.records import Point


def test_constant_arrivals_have_equal_gaps() -> None:
    found = list(arrivals(Point(rate=4.0, arrivals="constant", requests=4), "x"))
    assert found == [0.0, 0.25, 0.5, 0.75]


def test_poisson_arrivals_have_exponential_gaps_of_that_rate() -> None:
    found = list(arrivals(Point(rate=50.0, requests=20_000), "x"))
    gaps = [later - sooner for sooner, later in pairwise(found)]
    assert fmean(gaps) == pytest.approx(1 / 50, rel=0.03)
    assert pstdev(gaps) == pytest.approx(1 / 50, rel=0.03)


def test_the_same_seed_gives_the_same_arrivals() -> None:
    point = Point(rate=5.0, requests=50)
    assert list(arrivals(point, "1/a")) == list(arrivals(point, "1/a"))
    assert list(arrivals(point, "1/a")) != list(arrivals(point, "1/b"))


def test_arrivals_past_the_points_end_are_left_out() -> None:
    assert list(arrivals(Point(rate=4.0, arrivals="constant", requests=99, seconds=0.6), "x")) == [0.0, 0.25, 0.5]


@pytest.mark.parametrize("point", [Point(concurrency=4), Point(rate=0.0), Point(rate=-1.0)])
def test_a_closed_loop_has_no_arrivals(point: Point) -> None:
    with pytest.raises(ValueError, match="no rate"):
        list(arrivals(point, "x"))
