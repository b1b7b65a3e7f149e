"""Bars and tracks of a lane: laws of the drawing, without an engine."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some

from passloop.web.models.lanes import Bar, merged, packed

TIMES = some.integers(0, 1_000)
BARS = some.lists(some.builds(lambda start, size: Bar(start, start + size), TIMES, some.integers(0, 300)), max_size=40)


def test_bars_narrower_than_a_pixel_that_touch_are_one() -> None:
    bars = [Bar(0, 2), Bar(5, 6, bad=1), Bar(100, 101), Bar(20, 90, about={"task": 1})]
    assert merged(bars, 10) == [
        Bar(0, 6, many=2, bad=1),
        Bar(20, 90, about={"task": 1}),
        Bar(100, 101),
    ]


@given(BARS, some.integers(1, 50))
@settings(max_examples=60)
def test_no_attempt_is_lost_and_none_is_counted_twice(bars: list[Bar], pixel: int) -> None:
    assert sum(bar.many for bar in merged(bars, pixel)) == len(bars)


@given(BARS)
@settings(max_examples=60)
def test_bars_of_a_track_do_not_overlap(bars: list[Bar]) -> None:
    ends: dict[int, int] = {}
    for bar in packed(sorted(bars)):
        assert bar.start >= ends.get(bar.track, 0)
        ends[bar.track] = bar.end
