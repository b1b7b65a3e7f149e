"""A pool that is declared again, as by each run that uses it, forgets nothing of what it was told and what is drawn."""

from __future__ import annotations

import pytest

from passloop.kernel.changes import Refusal
from passloop.kernel.events import PoolKind
from passloop.kernel.pools import NO_RATE
from tests.support.builders import HOUR, MINUTE, SECOND, World, ask


def test_a_rate_that_is_known_stays_known_to_a_run_that_does_not_know_it() -> None:
    world = World(gpus=0)
    world.declare("tokens", PoolKind.RATE, 80)
    world.declare("tokens", PoolKind.RATE, NO_RATE)
    world.submit_many(ask(tokens=8), n=20, driver="calls")
    assert len(world.starts) == 10
    world.declare("tokens", PoolKind.RATE, 160)
    assert len(world.starts) == 20


@pytest.mark.parametrize("restarts", [False, True])
def test_a_pool_that_cools_does_so_at_another_place_too(restarts: bool) -> None:
    world = World(gpus=0)
    world.declare("endpoint", PoolKind.LIMIT, 8)
    for task in world.submit_many(ask(endpoint=1), n=4, driver="calls"):
        world.end(task, "rate_limited", status=429, retry_after=HOUR)
    world.declare("provider", PoolKind.LIMIT, 100)
    world.declare("endpoint", PoolKind.LIMIT, 8, parent="provider")
    if restarts:
        world.restart()
    later = world.submit(ask(endpoint=1), driver="calls")
    world.advance(HOUR - SECOND)
    assert world.why(later) == ["cooling"]


def test_what_was_drawn_on_a_rate_counts_at_another_place_too() -> None:
    world = World(gpus=0)
    world.declare("tokens", PoolKind.RATE, 80)
    world.submit_many(ask(tokens=8), n=20, driver="calls")
    world.declare("provider", PoolKind.RATE, 800)
    world.declare("tokens", PoolKind.RATE, 80, parent="provider")
    assert len(world.starts) == 10
    world.finish(*world.running)
    world.advance(MINUTE + SECOND)
    assert len(world.starts) == 20
    assert {pool.name: pool.used for pool in world.machine.pools(world.now)}["provider"] == 80


def test_a_pool_inside_itself_is_refused() -> None:
    world = World(gpus=0)
    world.declare("inner", PoolKind.LIMIT, 1, parent="outer")
    turns = [world.declare("outer", PoolKind.LIMIT, 1, parent=parent) for parent in ("inner", "outer")]
    assert [isinstance(turn.answers[0], Refusal) for turn in turns] == [True, True]
    task = world.submit(ask(inner=1), driver="calls")
    assert world.running == [task]


def test_a_limit_that_was_lowered_stays_so_when_a_run_in_between_wants_fewer_places() -> None:
    world = World(gpus=0)
    world.declare("model", PoolKind.LIMIT, 8)
    calls = world.submit_many(ask(model=1), n=8, driver="calls")
    world.advance(SECOND)
    world.end(calls[0], "rate_limited", status=429, retry_after=SECOND)
    (before,) = (pool.limit for pool in world.machine.pools(world.now) if pool.name == "model")
    world.declare("model", PoolKind.LIMIT, 4)
    world.declare("model", PoolKind.LIMIT, 8)
    (after,) = (pool.limit for pool in world.machine.pools(world.now) if pool.name == "model")
    assert (before, after) == (6, 6)


@pytest.mark.parametrize("restarts", [False, True])
def test_what_is_reserved_of_a_pool_that_got_a_parent_is_told_of_the_parent_too(restarts: bool) -> None:
    world = World(gpus=0)
    world.declare("model", PoolKind.LIMIT, 2)
    first = world.submit(ask(model=1), driver="calls")
    head = world.submit(ask(model=2), driver="calls")
    world.declare("provider", PoolKind.LIMIT, 3)
    world.declare("model", PoolKind.LIMIT, 2, parent="provider")
    if restarts:
        world.restart()
    reservation = world.rows.tasks[head].reservation
    assert reservation is not None
    assert dict(reservation.allocation.amounts) == {"model": 2, "provider": 2}
    world.finish(first)
    assert world.running == [head]


def test_what_is_reserved_is_named_in_the_same_words_after_a_restart() -> None:
    world = World(gpus=0)
    world.declare("model", PoolKind.LIMIT, 4)
    world.submit(ask(model=2), driver="calls", limit=HOUR)
    world.declare("all", PoolKind.LIMIT, 4)
    world.declare("model", PoolKind.LIMIT, 4, parent="all")
    world.submit(ask(model=4), driver="calls", patience=0)
    later = world.submit(ask(model=2), driver="calls", limit=2 * HOUR)
    (why,) = world.machine.explain(later, world.now)
    assert why.pool == "all, model"
    assert world.restored().explain(later, world.now) == (why,)
