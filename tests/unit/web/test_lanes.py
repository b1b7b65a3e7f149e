"""Bars, tracks and gaps of a timeline: laws of the drawing, without an engine."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some

from passloop.web.models.lanes import Bar, Gap, Wait, first_reasons, gaps_of, merged, packed

TIMES = some.integers(0, 1_000)
BARS = some.lists(some.builds(lambda start, size: Bar(start, start + size), TIMES, some.integers(0, 300)), max_size=40)
SPAN = (0, 1_000)
IDLE = [Gap(0, 1_000, "idle")]


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


@given(BARS)
@settings(max_examples=60)
def test_gaps_are_exactly_what_no_bar_covers(bars: list[Bar]) -> None:
    drawn = packed(merged(bars, 1))
    covered = {at for bar in bars for at in range(bar.start, bar.end)}
    gaps = gaps_of(drawn, SPAN, IDLE, least=1)
    empty = [at for gap in gaps for at in range(gap.start, gap.end)]
    assert len(empty) == len(set(empty))
    assert not covered & set(empty)
    touching = {at for bar in drawn for at in range(bar.start, bar.end)}
    assert set(range(*SPAN)) - touching == set(empty)


def test_a_gap_is_cut_where_its_reason_changes() -> None:
    why = first_reasons([Wait(10, 30, "blocked"), Wait(20, 60, "dependency"), Wait(0, 0, "held")], (0, 100))
    assert why == [Gap(0, 10, "idle"), Gap(10, 30, "blocked"), Gap(30, 60, "dependency"), Gap(60, 100, "idle")]
    assert gaps_of([Bar(0, 5), Bar(25, 90)], (0, 100), why, least=1) == [
        Gap(5, 10, "idle"),
        Gap(10, 25, "blocked"),
        Gap(90, 100, "idle"),
    ]


def test_waits_outside_the_span_are_cut_to_it() -> None:
    assert first_reasons([Wait(-50, 2_000, "held")], (0, 100)) == [Gap(0, 100, "held")]


def test_gaps_narrower_than_a_pixel_are_left_out() -> None:
    assert gaps_of([Bar(0, 95)], (0, 100), [Gap(0, 100, "idle")], least=10) == []
