"""What the loop of the simulation promises the engine on it: asyncio's order, and time that passes at last."""

from __future__ import annotations

import asyncio
import random
from functools import partial

import pytest

from passloop.clock import FakeClock

from .loop import SimulatedLoop


def a_loop() -> SimulatedLoop:
    return SimulatedLoop(FakeClock(1_000), random.Random(0))


def test_what_is_due_at_one_time_is_called_in_the_order_in_which_it_was_asked_for() -> None:
    loop = a_loop()
    called: list[tuple[int, int]] = []

    def note(number: int) -> None:
        called.append((loop.clock.now(), number))

    async def story() -> None:
        for number in range(40):
            loop.call_after(10 - number % 3, partial(note, number))
        loop.call_later(0.009, note, -1).cancel()
        over = asyncio.Event()
        loop.call_after(1_000, over.set)
        await over.wait()

    loop.run_until_complete(story())
    loop.close()
    assert called == sorted(called)
    assert len(called) == 40
    assert loop.clock.now() == 2_000


def test_no_time_passes_while_there_is_anything_to_do() -> None:
    loop = a_loop()

    async def story() -> None:
        for _ in range(100):
            await asyncio.sleep(0)

    loop.run_until_complete(story())
    loop.close()
    assert loop.clock.now() == 1_000


def test_a_story_that_waits_for_nothing_at_all_is_told() -> None:
    loop = a_loop()
    with pytest.raises(AssertionError, match="nothing will ever happen again"):
        loop.run_until_complete(loop.create_future())
    loop.close()
