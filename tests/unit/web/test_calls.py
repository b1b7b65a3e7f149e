"""The steps in which the calls of an endpoint are counted."""

from __future__ import annotations

import pytest

from passloop.web.models.calls import MOST, last_minutes, steps_between


@pytest.mark.parametrize("span", [0, 1, 6_500, 60_000, 3_600_000, 90_000_000, 10**12])
def test_a_stretch_of_time_is_cut_into_at_most_some_sixty_steps_that_hold_it(span: int) -> None:
    since = 1_700_000_000_123
    steps = steps_between(since, since + span)
    assert steps.since <= since <= since + span <= steps.until
    assert steps.number <= MOST + 2
    assert steps.since % steps.step == 0


def test_steps_are_round() -> None:
    assert [steps_between(0, span).step for span in (6_500, 61_000, 600_000)] == [1_000, 2_000, 10_000]


def test_the_last_minutes_end_with_the_present_one() -> None:
    steps = last_minutes(150_000, 2)
    assert (steps.since, steps.step, steps.number, steps.until) == (60_000, 60_000, 2, 180_000)
