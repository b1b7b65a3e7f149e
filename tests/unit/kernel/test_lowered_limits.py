"""A limit that was lowered under what one task asks keeps nobody waiting for ever."""

from __future__ import annotations

from passloop.kernel.events import PoolKind
from tests.support.builders import MINUTE, SECOND, World, ask


def lowered_to_one() -> World:
    """A limit of two places that a refusal has lowered to one; a probe has opened it."""
    world = World(gpus=0)
    world.declare("model", PoolKind.LIMIT, 2)
    first = world.submit(ask(model=1), driver="calls")
    world.advance(SECOND)
    world.end(first, "rate_limited", status=429, retry_after=SECOND)
    world.advance(MINUTE)
    world.finish(first)
    return world


def test_who_asks_more_places_than_the_lowered_limit_has_goes_alone() -> None:
    world = lowered_to_one()
    pair = world.submit_many(ask(model=2), n=2, driver="calls")
    assert world.running == [pair[0]]
    world.finish(pair[0])
    assert world.running == [pair[1]]


def test_those_who_ask_one_place_each_keep_to_the_lowered_limit() -> None:
    world = lowered_to_one()
    calls = world.submit_many(ask(model=1), n=3, driver="calls")
    assert world.running == [calls[0]]


def test_who_asks_more_than_the_lowered_limit_is_not_passed_for_ever_by_those_who_fit() -> None:
    world = lowered_to_one()
    world.submit_many(ask(model=1), n=2, driver="calls")
    large = world.submit(ask(model=2), driver="calls")
    world.submit_many(ask(model=1), n=20, driver="calls")
    for _ in range(2):
        world.finish(world.running[0])
    assert world.running == [large]
    assert world.why(world.ready[0]) == ["limit"]
