"""What two machines know differently is told, whatever it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from passloop.kernel.events import Held, PoolKind
from passloop.kernel.state import State
from tests.support.builders import MINUTE, World, ask
from tests.support.mirrored import differences


def forget_node(state: State) -> None:
    state.node.holders.clear()


def forget_draws(state: State) -> None:
    state.pools["tokens"].__init__("tokens", state.pools["tokens"].bit, 80)  # type: ignore[misc]


def forget_virtual_time(state: State) -> None:
    state.groups["default"].virtual_time = 0


def forget_patience(state: State) -> None:
    state.tasks[2].patience = None


def forget_who_waits(state: State) -> None:
    state.dependents.clear()


def forget_a_reservation(state: State) -> None:
    state.reserved.clear()


def forget_a_share(state: State) -> None:
    state.devices.devices["GPU-0"].free_share += 1


@pytest.mark.parametrize(
    "harm",
    [
        forget_node,
        forget_draws,
        forget_virtual_time,
        forget_patience,
        forget_who_waits,
        forget_a_reservation,
        forget_a_share,
    ],
)
def test_what_a_restart_forgets_is_told(harm: Callable[[State], None]) -> None:
    world = World(gpus=2)
    world.declare("tokens", PoolKind.RATE, 80)
    world.submit(gpus=1)
    world.submit(gpus=2, patience=0)
    world.submit(ask(gpus=1, tokens=8))
    world.submit(ask(tokens=8), driver="calls")
    world.submit(gpus=1, after=[world.submit(gpus=2)])
    restored = world.restored()
    restored.handle((), world.now)
    assert differences(restored, world.machine) == []
    harm(restored.state)
    assert differences(restored, world.machine) != []


def test_a_draw_that_counts_no_more_is_no_difference() -> None:
    world = World(gpus=0, cpus=1)
    world.declare("tokens", PoolKind.RATE, 80)
    world.finish(world.submit(ask(tokens=8)))
    world.advance(2 * MINUTE)
    world.send(Held(()))
    restored = world.restored()
    restored.handle((), world.now)
    assert restored.state.pools["tokens"].most(world.now) == 80
    assert differences(restored, world.machine) == []
