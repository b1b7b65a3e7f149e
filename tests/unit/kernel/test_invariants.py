"""Each law of the machine is seen broken once: a state that breaks it is called by the law's name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from passloop.kernel.errors import BrokenInvariant
from passloop.kernel.ids import AttemptId, TaskId
from passloop.kernel.invariants import check
from passloop.kernel.resources import Grant
from passloop.kernel.tasks import TaskState
from tests.support.builders import MINUTE, World, ask
from tests.support.sourced import SourcedWorld, local

NOBODY = AttemptId(999)


def a_world() -> SourcedWorld:
    """Two GPUs and eight CPUs: two tasks run, one has reserved, one is ready, a source has one ready task."""
    world = SourcedWorld(gpus=2, cpus=8)
    world.submit(gpus=1, limit=MINUTE)
    world.submit(ask(cpus=7))
    world.submit(gpus=2, patience=0)
    world.submit(gpus=2)
    world.expand(world.source(local(completes=True, cpus=4), local(after=[0], completes=True, cpus=4), ahead=1))
    check(world.machine, world.now)
    return world


def overcharge(world: SourcedWorld) -> None:
    next(pool for pool in world.machine.state.pools.values() if pool.used).used += 1


def hold_nothing(world: SourcedWorld) -> None:
    next(pool for pool in world.machine.state.pools.values() if pool.holders).holders.clear()


def lose_share(world: SourcedWorld) -> None:
    next(iter(world.machine.state.devices.devices.values())).free_share -= 1


def lose_vram(world: SourcedWorld) -> None:
    next(iter(world.machine.state.devices.devices.values())).free_vram -= 1


def hold_for_nobody(world: SourcedWorld) -> None:
    device = next(device for device in world.machine.state.devices.devices.values() if device.holders)
    device.holders[NOBODY] = device.holders.pop(next(iter(device.holders)))


def share_a_whole(world: SourcedWorld) -> None:
    device = next(device for device in world.machine.state.devices.devices.values() if device.holders)
    device.holders[NOBODY] = Grant(device.uuid, 0, 0)


def leave_the_node(world: SourcedWorld) -> None:
    world.machine.state.node.holders.popitem()


def be_twice_on_the_node(world: SourcedWorld) -> None:
    node = world.machine.state.node
    node.runs[next(iter(node.runs))] += 1


def keep_the_node(world: SourcedWorld) -> None:
    world.machine.state.node.exclusive[NOBODY] = 1


def forget_attempt(world: SourcedWorld) -> None:
    world.machine.state.tasks[world.running[0]].attempt = None


def leave_queue(world: SourcedWorld) -> None:
    state = world.machine.state
    ready = (task for task in state.tasks.values() if task.state is TaskState.READY)
    state.queue.remove(next(task for task in ready if task.reservation is None))


def drop_from_reserved(world: SourcedWorld) -> None:
    state = world.machine.state
    state.queue.push(state.reserved.pop())


def turn_lanes(world: SourcedWorld) -> None:
    world.submit(ask(cpus=5))
    lanes = next(lanes for level in world.machine.state.queue.levels.values() for lanes in level.values())
    lanes.ordered.reverse()


def work_more(world: SourcedWorld) -> None:
    next(iter(world.machine.state.groups.values())).work += 1


def be_busy_for_nothing(world: SourcedWorld) -> None:
    state = world.machine.state
    state.busy["idle"] = next(iter(state.groups.values()))


def wait_for_somebody(world: SourcedWorld) -> None:
    world.machine.state.tasks[world.running[0]].unmet.add(TaskId(999))


def count_one_more(world: SourcedWorld) -> None:
    next(iter(world.machine.state.sources.values())).nodes[0].ready += 1


def count_one_live(world: SourcedWorld) -> None:
    next(iter(world.machine.state.sources.values())).nodes[0].live += 1


def run_ahead(world: SourcedWorld) -> None:
    next(iter(world.machine.state.sources.values())).lags[0] = 0


def ask_for_nothing(world: SourcedWorld) -> None:
    next(iter(world.machine.state.sources.values())).asked = None


def count_one_left(world: SourcedWorld) -> None:
    next(iter(world.machine.state.sources.values())).left += 1


def leave_the_unit(world: SourcedWorld) -> None:
    next(iter(next(iter(world.machine.state.sources.values())).units.values())).left += 1


def keep_more(world: SourcedWorld) -> None:
    next(iter(world.machine.state.sources.values())).bytes += 1


def bring_cpus(world: SourcedWorld) -> None:
    next(pool for pool in world.machine.state.pools.values() if pool.name == "cpu").capacity *= 2


def free_devices(world: SourcedWorld) -> None:
    state = world.machine.state
    for name, device in list(state.devices.devices.items()):
        copy = f"{name}-copy"
        state.devices.devices[copy] = twin = type(device)(replace(world.inventory[0], uuid=copy, index=9))
        twin.observe(replace(world.inventory[0], uuid=copy, index=9), state.devices.weights)


BREAKS: tuple[tuple[Callable[[SourcedWorld], None], str], ...] = (
    (overcharge, "charges .* used, attempts hold"),
    (hold_nothing, "charges .* used, attempts hold"),
    (lose_share, "device shares .* free beside"),
    (lose_vram, "device shares .* MiB free beside"),
    (hold_for_nobody, "device shares .* which is not live"),
    (share_a_whole, "device shares .* is whole and shared"),
    (leave_the_node, "the node is held by"),
    (be_twice_on_the_node, "the node counts"),
    (keep_the_node, "the node is kept by"),
    (forget_attempt, "at most one live attempt"),
    (leave_queue, "exactly one place"),
    (drop_from_reserved, "exactly one place: task .* has reservation"),
    (turn_lanes, "lanes out of order|exactly one place"),
    (work_more, "a group counts .* groups count"),
    (be_busy_for_nothing, "a group counts .* busy are"),
    (wait_for_somebody, "no dependent starts"),
    (count_one_more, "what sources count .* 2 ready of 1 tasks of node 0"),
    (count_one_live, "what sources count .* 1 ready of 2 tasks of node 0"),
    (run_ahead, "what sources count .* node 1 further than what it comes after"),
    (ask_for_nothing, "what sources count .* asked for None"),
    (count_one_left, "what sources count .* live tasks"),
    (leave_the_unit, "what sources count .* live tasks"),
    (keep_more, "what sources count .* bytes"),
    (bring_cpus, "at rest.* is ready and fits"),
    (free_devices, "at rest.* holds a reservation and fits"),
)


def with_a_parked_worker() -> World:
    """A worker lies on the only GPU, and a task with another key is admitted there, whose start is kept back."""
    world = World(gpus=1, cpus=8)
    world.submit(cpus=1, held=True, warm_key="held", driver="workers")
    world.park(world.submit(gpus=1, warm_key="a", driver="workers", run=1))
    world.submit(gpus=1, warm_key="b", driver="workers", run=1)
    check(world.machine, world.now)
    return world


def test_a_device_that_is_promised_to_a_parked_worker_and_to_who_was_started_is_told() -> None:
    world = with_a_parked_worker()
    world.machine.state.workers.kept_back.clear()
    with pytest.raises(BrokenInvariant, match="GPU-0 has two owners"):
        check(world.machine, world.now)


def test_a_device_that_is_promised_to_a_worker_that_stays_and_to_another_is_told() -> None:
    world = with_a_parked_worker()
    for worker in world.machine.state.workers.by_id.values():
        worker.evicted = False
    with pytest.raises(BrokenInvariant, match="GPU-0 is promised twice"):
        check(world.machine, world.now)


def test_a_worker_whose_attempts_are_not_live_is_told() -> None:
    world = with_a_parked_worker()
    next(iter(world.machine.state.workers.by_id.values())).attempts.append(NOBODY)
    with pytest.raises(BrokenInvariant, match=r"has attempts .* that are not live"):
        check(world.machine, world.now)


@pytest.mark.parametrize(("breaks", "law"), BREAKS, ids=lambda one: getattr(one, "__name__", ""))
def test_a_state_that_breaks_a_law_is_told_with_the_law(breaks: Callable[[SourcedWorld], None], law: str) -> None:
    world = a_world()
    breaks(world)
    with pytest.raises(BrokenInvariant, match=law):
        check(world.machine, world.now)
