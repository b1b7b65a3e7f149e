"""P15: the machine is right. Any sequence of what can happen to it is judged after every turn: by the rows that a store
would keep, an oracle over them, a twin that never restarts, a machine restored from the rows, and at the end a replay.

The rules are in `test_machine_laws.py`; here is how many sequences are run.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.support.promises import record

from .test_machine_laws import MachineLaws

EVENTS = 50
PART = 50
"""Sequences in one test: six of them make the 300, and go to whichever process is free."""
CI = settings(
    max_examples=PART,
    stateful_step_count=EVENTS,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large],
)


def play(part: int, how: settings) -> tuple[int, int]:
    """Sequences of this part's own: where Hypothesis draws the same each time (CI), each part would draw those of the
    others, too. Gives how many there were, and of how many events at most; most of them have so many.
    """
    laws = type("Laws", (MachineLaws,), {})
    run_state_machine_as_test(seed(part)(laws) if how.derandomize else laws, settings=how)
    return how.max_examples, how.stateful_step_count


@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(6))
def test_the_machine_is_right(part: int) -> None:
    sequences, events = play(part, CI)
    record("P15", f"{sequences} sequences of up to {events} events, 0 broken laws", sequences=sequences, events=events)


@pytest.mark.large
@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("part", range(20))
def test_the_machine_is_right_at_length(part: int) -> None:
    sequences, events = play(part, settings(CI, max_examples=1_000))
    figure = f"{sequences:,} sequences of up to {events} events, 0 broken laws"
    record("P15", figure, sequences=sequences, events=events)
