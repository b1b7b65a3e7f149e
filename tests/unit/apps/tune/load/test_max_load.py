"""The search ends at a load that was measured and kept the SLOs, after few loads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from passloop.apps.errors import BadValue
from passloop.apps.tune.load.max_load import MaxLoad, MaxLoadOrder, max_load_under_slo, read_max_load
from passloop.apps.tune.records import Point, PointResult, Slo

SLO = [Slo(metric="ttft", stat="p95", most=100)]
LIKE = Point(concurrency=1, requests=20, warmup=3, repeats=5)


class Live:
    """A server that keeps the SLO up to a load, and what it was asked."""

    def __init__(self, capacity: float) -> None:
        self.capacity = capacity
        self.asked: list[Point] = []
        self.worse: Callable[[Point], dict[str, Any]] = lambda _: {}

    async def measure(self, point: Point) -> PointResult:
        self.asked.append(point)
        load = point.rate if point.rate is not None else float(point.concurrency or 0)
        late = 50.0 if load <= self.capacity else 500.0
        changes = self.worse(point)
        share = changes.pop("attainment", 1.0)
        metrics = {"ttft": {"p95": late}, "attainment": {"mean": share}}
        return PointResult(point=point, metrics=metrics, requests=point.requests, **changes)

    async def search(self, *known: PointResult, **order: Any) -> MaxLoad:
        return await max_load_under_slo(self.measure, SLO, MaxLoadOrder(**order), like=LIKE, measured=known)


@given(st.integers(1, 255))
async def test_the_highest_concurrency_is_found_within_a_tenth(capacity: int) -> None:
    live = Live(capacity)
    found = await live.search(steps=20)
    assert found.value is not None
    assert found.missed is not None
    assert found.value <= capacity < found.missed
    assert found.missed <= max(found.value + 1, found.value * 1.1)
    names = [point.name for point in live.asked]
    assert len(names) == len(set(names)) <= 13


async def test_the_highest_rate_is_found_within_the_precision() -> None:
    found = await Live(7.3).search(of="rate", low=0.5, high=64, precision=0.02, steps=40)
    assert found.value is not None
    assert 7.3 / 1.02 <= found.value <= 7.3
    assert found.why == f"ttft p95 at rate={found.missed:g} is 500, at most 100 allowed"


async def test_a_server_that_keeps_up_with_all_is_not_asked_for_more() -> None:
    live = Live(1e9)
    found = await live.search(high=48)
    assert (found.value, found.missed, found.why) == (48, None, "")
    assert [point.concurrency for point in live.asked] == [1, 2, 4, 8, 16, 32, 48]


async def test_a_server_that_keeps_up_with_nothing_has_no_highest_load() -> None:
    live = Live(0)
    found = await live.search()
    assert (found.value, found.missed) == (None, 1)
    assert len(live.asked) == 1


async def test_loads_that_were_measured_are_not_measured_again() -> None:
    first = Live(5)
    known = await first.measure(Point(concurrency=4))
    live = Live(5)
    found = await live.search(known, PointResult(point=Point(rate=2.0), metrics={}))
    assert found.value == 5
    assert "concurrency=4" not in [point.name for point in live.asked]
    assert known in found.loads


async def test_a_search_ends_after_its_steps() -> None:
    live = Live(200)
    found = await live.search(steps=3)
    assert len(live.asked) == len(found.loads) == 3
    assert (found.value, found.missed) == (4, None)


async def test_a_load_that_was_given_up_is_a_miss() -> None:
    live = Live(1e9)
    live.worse = lambda point: {"stopped": "saturated"} if (point.concurrency or 0) > 6 else {}
    found = await live.search()
    assert (found.value, found.missed) == (6, 7)
    assert found.why == "concurrency=7 was given up: saturated"


async def test_too_few_good_requests_are_a_miss() -> None:
    live = Live(1e9)
    live.worse = lambda point: {"attainment": 0.94 if (point.concurrency or 0) > 2 else 0.95}
    found = await live.search()
    assert found.value == 2
    assert found.why == "94.0% of the requests at concurrency=3 were good, 95.0% wanted"


async def test_points_are_long_enough_for_their_load() -> None:
    live = Live(1e9)
    await live.search(high=64)
    assert {point.name: point.requests for point in live.asked}["concurrency=64"] == 256
    rates = Live(1e9)
    await rates.search(of="rate", high=8)
    assert [point.requests for point in rates.asked] == [20, 20, 40, 80]
    assert {(point.warmup, point.repeats) for point in live.asked + rates.asked} == {(3, 1)}


async def test_an_slo_of_one_point_says_nothing_of_the_search() -> None:
    slo = [Slo(metric="ttft", stat="p95", most=1, at="concurrency=1")]
    found = await max_load_under_slo(Live(9).measure, slo, MaxLoadOrder(high=4), like=LIKE)
    assert found.value == 4


def test_an_order_is_read_as_specs_write_it() -> None:
    order = read_max_load({"of": "rate", "low": 1.0, "high": 64.0, "steps": 9})
    assert (order.of, order.low, order.high, order.steps, order.precision) == ("rate", 1.0, 64.0, 9, 0.1)


@pytest.mark.parametrize(
    "given", [{"off": "rate"}, {"low": 0}, {"low": 9, "high": 3}, {"steps": 0}, {"precision": 1}, {"attainment": 1.1}]
)
def test_an_order_that_cannot_be_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(BadValue, match=r"load\.max_load"):
        read_max_load(given)
