"""Tracks, gaps and reasons of a timeline: laws of any drawing of spans."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as some

from passloop.apps.queue.gaps import Gap, Wait, first_reasons, gaps_of, tracks_of

WHOLE = (0, 1_000)
IDLE = [Gap(0, 1_000, "idle")]
SPANS = some.lists(
    some.builds(lambda start, size: (start, start + size), some.integers(0, 1_000), some.integers(0, 300)),
    max_size=40,
).map(sorted)


@given(SPANS)
@settings(max_examples=60)
def test_there_are_as_many_tracks_as_ever_overlap(spans: list[tuple[int, int]]) -> None:
    lasting = [span for span in spans if span[1] > span[0]]
    most = max((sum(start <= at < end for start, end in lasting) for at, _ in lasting), default=0)
    assert sorted(set(tracks_of(lasting))) == list(range(most))


@given(SPANS, some.integers(1, 30))
@settings(max_examples=60)
def test_gaps_are_exactly_what_no_span_covers(spans: list[tuple[int, int]], least: int) -> None:
    covered = {at for start, end in spans for at in range(start, end)}
    gaps = gaps_of(spans, WHOLE, IDLE, least=least)
    empty = [at for gap in gaps for at in range(gap.start, gap.end)]
    assert len(empty) == len(set(empty))
    assert all(gap.end - gap.start >= least for gap in gaps)
    if least == 1:
        assert set(range(*WHOLE)) - covered == set(empty)
    else:
        assert not covered & set(empty)


def test_a_gap_is_cut_where_its_reason_changes() -> None:
    why = first_reasons([Wait(10, 30, "blocked"), Wait(20, 60, "dependency"), Wait(0, 0, "held")], (0, 100))
    assert why == [Gap(0, 10, "idle"), Gap(10, 30, "blocked"), Gap(30, 60, "dependency"), Gap(60, 100, "idle")]
    assert gaps_of([(0, 5), (25, 90)], (0, 100), why) == [
        Gap(5, 10, "idle"),
        Gap(10, 25, "blocked"),
        Gap(90, 100, "idle"),
    ]


def test_waits_outside_the_span_are_cut_to_it() -> None:
    assert first_reasons([Wait(-50, 2_000, "held")], (0, 100)) == [Gap(0, 100, "held")]


def test_gaps_narrower_than_asked_are_left_out() -> None:
    assert gaps_of([(0, 95)], (0, 100), [Gap(0, 100, "idle")], least=10) == []
