"""Rates refill by time alone, and the machine wakes for it whatever else a task lacks."""

from __future__ import annotations

from passloop.kernel.events import PoolKind
from passloop.kernel.pools import RATE_MARGIN, estimate
from tests.support.builders import HOUR, MINUTE, SECOND, World, ask


def test_a_task_that_lacks_a_rate_and_devices_starts_when_the_rate_refills_before_its_patience_is_over() -> None:
    world = World(gpus=1, cpus=8)
    world.declare("tokens", PoolKind.RATE, 100)
    holder = world.submit(gpus=1)
    spender = world.submit(ask(tokens=100))
    world.finish(spender)
    both = world.submit(ask(gpus=1, tokens=60))
    world.finish(holder)
    assert world.ready == [both]
    world.advance(MINUTE + RATE_MARGIN)
    assert world.running == [both]


def test_no_minute_holds_more_than_the_rate() -> None:
    world = World(gpus=0, cpus=8)
    world.declare("tokens", PoolKind.RATE, 100)
    first = world.submit(ask(tokens=60))
    second = world.submit(ask(tokens=60))
    world.finish(first)
    world.advance(MINUTE + RATE_MARGIN - 1)
    assert world.ready == [second]
    world.advance(1)
    assert world.running == [second]


def test_estimates_are_rounded_up_to_a_power_of_two() -> None:
    assert [estimate(amount) for amount in (0, 1, 2, 3, 1_000, 1_024)] == [0, 1, 2, 4, 1_024, 1_024]


def test_a_smaller_ask_is_looked_at_when_it_fits_though_a_larger_one_waits_longer() -> None:
    world = World(gpus=0, cpus=64)
    world.declare("tokens", PoolKind.RATE, 100)
    world.finish(world.submit(ask(tokens=60)))
    world.advance(10 * SECOND)
    world.finish(world.submit(ask(tokens=40)))
    larger = world.submit(ask(tokens=80), patience=HOUR)
    smaller = world.submit(ask(tokens=10), patience=HOUR)
    world.advance(52 * SECOND)
    assert smaller in world.started
    assert larger not in world.started
