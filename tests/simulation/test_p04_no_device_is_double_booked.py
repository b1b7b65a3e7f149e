"""P4: no device is double-booked, across crashes and strays too. Two engines with two homes on one box, with the real
locks; strangers that come and go, zombies that hold on, devices that vanish and return, engines killed anywhere.

Each start is held against what truly is on the device, whoever knows of it; the kernel's invariants are checked after
every turn. What one lock, one gate and one kill do is in `unit/devices/` and `crash/`.
"""

from __future__ import annotations

import pytest

from tests.support.promises import record

from .history import play

CHUNKS, HISTORIES, EVENTS = 4, 40, 500
FIGURE = "histories of two homes, 500 events each, 0 double bookings"


def play_all(seeds: range) -> tuple[int, int]:
    """Play these histories of two homes; gives how many events and attempts they had."""
    told = [play("devices", seed, EVENTS) for seed in seeds]
    assert all(one.kinds["StartRefused"] or one.kinds["StrayGone"] for one in told), "nothing stood in the way"
    return sum(one.events for one in told), sum(sum(one.outcomes.values()) for one in told)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("chunk", range(CHUNKS))
def test_two_homes_never_have_a_device_together(chunk: int) -> None:
    size = HISTORIES // CHUNKS
    events, attempts = play_all(range(chunk * size, (chunk + 1) * size))
    assert events >= size * EVENTS
    record("P4", f"{size} {FIGURE}", events=events, attempts=attempts)


@pytest.mark.large
@pytest.mark.timeout(7_200)
@pytest.mark.parametrize("chunk", range(4))
def test_two_homes_never_have_a_device_together_at_length(chunk: int) -> None:
    events, attempts = play_all(range(1_000 + 50 * chunk, 1_050 + 50 * chunk))
    record("P4", f"50 {FIGURE}", events=events, attempts=attempts)
