"""What people are shown of devices and pools is what can be had of them."""

from __future__ import annotations

from passloop.kernel.events import PoolDeclared, PoolKind
from passloop.kernel.ids import PoolName
from tests.support.builders import GIB, SECOND, World, ask


def test_nothing_is_free_on_a_lost_device() -> None:
    world = World(gpus=2)
    world.see(*world.inventory[:1])
    there, lost = world.machine.devices()
    assert (there.state, lost.state) == ("available", "lost")
    assert (there.free_mib > GIB, there.free_share) == (True, 10_000)
    assert (lost.free_mib, lost.free_share) == (0, 0)


def test_a_pool_that_was_only_asked_for_is_not_shown() -> None:
    world = World(gpus=0, cpus=1)
    world.submit(cpus=1, licence=1, wait_for_capacity=True)
    assert "licence" not in [pool.name for pool in world.machine.pools(world.now)]
    world.send(PoolDeclared(PoolName("licence"), PoolKind.AMOUNT, 2))
    (licence,) = (pool for pool in world.machine.pools(world.now) if pool.name == "licence")
    assert (licence.used, licence.free, licence.capacity) == (1, 1, 2)


def test_what_an_adaptive_limit_gave_up_is_not_shown_as_used() -> None:
    world = World(gpus=0, cpus=1)
    world.declare("model", PoolKind.LIMIT, 8)
    refused, *_ = world.submit_many(ask(model=1), n=10, driver="calls")
    world.end(refused, "rate_limited", status=429)
    world.finish(*world.running)
    world.advance(SECOND)
    world.finish(*world.running)
    (model,) = (pool for pool in world.machine.pools(world.now) if pool.name == "model")
    assert (model.gate, model.limit) == ("open", 6)
    world.finish(*world.running)
    (model,) = (pool for pool in world.machine.pools(world.now) if pool.name == "model")
    assert (model.used, model.free, model.holders) == (0, 6, ())
