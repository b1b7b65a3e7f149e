"""Rates refill by time alone, and the machine wakes for it whatever else a task lacks."""

from __future__ import annotations

from passloop.kernel.changes import PoolChanged
from passloop.kernel.events import PoolKind
from passloop.kernel.pools import NO_RATE, RATE_MARGIN, estimate
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


def unknown_rate() -> World:
    """A model with a place for two, and a rate of tokens that nobody has told yet."""
    world = World(gpus=0)
    world.declare("model", PoolKind.LIMIT, 2)
    world.declare("tokens", PoolKind.RATE, NO_RATE)
    return world


def test_what_is_drawn_on_a_rate_that_nobody_knows_is_not_stored_with_each_draw() -> None:
    world = unknown_rate()
    world.submit_many(ask(model=1, tokens=8), n=100, driver="calls")
    for _ in range(50):
        world.finish(world.running[0])
    turn = world.finish(world.running[0])
    assert [change for change in turn.changes if isinstance(change, PoolChanged)] == []


def test_what_was_drawn_on_a_rate_counts_once_it_is_known() -> None:
    world = unknown_rate()
    world.submit_many(ask(model=1, tokens=8), n=20, driver="calls")
    for _ in range(5):
        world.finish(world.running[0])
    assert len(world.starts) == 7
    world.declare("tokens", PoolKind.RATE, 80)
    world.restart()
    while world.running:
        world.finish(world.running[0])
    assert len(world.starts) == 10


def test_a_call_reserves_of_a_rate_only_while_it_is_known() -> None:
    world = unknown_rate()
    world.submit_many(ask(model=1, tokens=8), n=20, driver="calls")
    assert all(one.row.reservation is None for one in world.rows.saved().tasks)
    world.declare("tokens", PoolKind.RATE, 16)
    world.finish(world.running[0])
    assert sum(one.row.reservation is not None for one in world.rows.saved().tasks) == 1


def test_a_draw_counts_for_the_window_and_a_margin_whoever_looks_meanwhile() -> None:
    world = World(gpus=0)
    world.declare("tokens", PoolKind.RATE, 80)
    world.finish(world.submit(ask(tokens=80), driver="calls"))
    later = world.submit(ask(tokens=80), driver="calls")
    world.advance(MINUTE)
    world.submit(cpus=1)
    assert later not in world.started
    world.advance(RATE_MARGIN)
    assert later in world.started


def test_what_live_calls_drew_counts_after_a_restart_once_the_rate_is_known() -> None:
    world = unknown_rate()
    world.submit_many(ask(model=1, tokens=8), n=20, driver="calls")
    world.restart()
    world.advance(SECOND)
    world.declare("tokens", PoolKind.RATE, 24)
    while world.running:
        world.finish(world.running[0])
    assert len(world.starts) == 3
    world.advance(MINUTE + RATE_MARGIN - SECOND)
    assert len(world.starts) == 5
