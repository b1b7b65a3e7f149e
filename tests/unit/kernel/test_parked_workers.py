"""Parked workers: what they hold is free, but nobody starts on it before they are gone. One scenario for each rule."""

from __future__ import annotations

from typing import Any

from passloop.kernel.events import DevicesSeen, StartRefused
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import TaskState
from tests.support.builders import GIB, MINUTE, SECOND, World, seen

WARM: dict[str, Any] = {"driver": "workers"}


def warm(world: World, key: str = "a", **asked: Any) -> TaskId:
    """One task with a warm key in run 1, which is kept alive by `keep_run`."""
    run = 1 if world.rows.runs else None
    return world.submit(warm_key=key, **(WARM | asked), **({"run": run} if run else {}))


def keep_run(world: World) -> TaskId:
    """A held task with a warm key: its run is not over."""
    return warm(world, "held", cpus=1, held=True)


def one_gpu() -> World:
    """A box with one GPU and a run that goes on."""
    world = World(gpus=1, cpus=8)
    keep_run(world)
    return world


def test_a_task_of_the_same_key_is_served_by_the_parked_worker_at_once() -> None:
    world = one_gpu()
    first = warm(world, gpus=1)
    worker = world.attempt(first)
    world.park(first)
    second = warm(world, gpus=1)
    assert (world.started_on(second), world.devices_of(second), world.evicted) == (worker, ("GPU-0",), [])
    assert world.state(second) is TaskState.RUNNING


def test_another_key_starts_only_when_the_parked_worker_is_proven_gone() -> None:
    world = one_gpu()
    first = warm(world, gpus=1)
    worker = world.attempt(first)
    world.park(first)
    other = warm(world, "b", gpus=1)
    assert (world.state(other), world.evicted, other in world.started) == (TaskState.ADMITTED, [worker], False)
    assert world.why(other) == ["evicting"]
    world.worker_gone(worker)
    assert (world.state(other), world.why(other), world.started_on(other)) == (TaskState.RUNNING, [], None)


def test_a_command_evicts_too() -> None:
    world = one_gpu()
    first = warm(world, gpus=1)
    world.park(first)
    plain = world.submit(gpus=1)
    assert world.state(plain) is TaskState.ADMITTED
    world.worker_gone(world.evicted[0])
    assert world.state(plain) is TaskState.RUNNING


def test_the_least_recently_used_worker_is_evicted_and_free_devices_come_first() -> None:
    world = World(gpus=3, cpus=8)
    keep_run(world)
    old, young = warm(world, "a", gpus=1), warm(world, "b", gpus=1)
    workers = [world.attempt(old), world.attempt(young)]
    world.park(old)
    world.advance(SECOND)
    world.park(young)
    on_free = world.submit(gpus=1)
    assert (world.evicted, world.state(on_free)) == ([], TaskState.RUNNING)
    world.submit(gpus=1)
    assert world.evicted == workers[:1]


def test_shares_beside_a_parked_worker_disturb_it_only_where_they_must() -> None:
    world = one_gpu()
    half = warm(world, share=0.5)
    world.park(half)
    beside = world.submit(share=0.5)
    assert (world.evicted, world.state(beside)) == ([], TaskState.RUNNING)
    third = world.submit(share=0.25)
    assert (len(world.evicted), world.state(third)) == (1, TaskState.ADMITTED)


def test_memory_of_a_parked_worker_is_free_but_not_empty() -> None:
    world = World(gpus=0, cpus=8, memory=64 * GIB)
    keep_run(world)
    first = warm(world, memory=40 * GIB, cpus=1)
    world.park(first)
    small = world.submit(memory=20 * GIB)
    large = world.submit(memory=40 * GIB)
    assert (world.state(small), world.state(large)) == (TaskState.RUNNING, TaskState.ADMITTED)
    world.worker_gone(world.evicted[0])
    assert world.state(large) is TaskState.RUNNING


def test_a_worker_is_parked_for_five_minutes_at_most() -> None:
    world = one_gpu()
    world.park(warm(world, gpus=1))
    world.advance(5 * MINUTE - 1)
    assert world.evicted == []
    world.advance(1)
    assert len(world.evicted) == 1


def test_a_worker_that_is_used_often_wakes_nobody_but_when_it_has_lain_too_long() -> None:
    world = one_gpu()
    for _ in range(20):
        world.advance(SECOND)
        world.park(warm(world, gpus=1))
    wakeups = world.machine.state.wakeups
    assert (wakeups.next(), wakeups.due(world.now + 5 * MINUTE)) == (world.now + 5 * MINUTE, [])


def test_a_run_whose_calls_are_all_done_is_counted_no_more() -> None:
    world = World(gpus=1)
    world.park(warm(world, gpus=1))
    assert dict(world.machine.state.workers.unfinished) == {}


def test_a_worker_is_not_parked_longer_than_its_run() -> None:
    world = World(gpus=1)
    world.park(warm(world, gpus=1))
    assert len(world.evicted) == 1


def test_another_run_is_not_served_by_it() -> None:
    world = one_gpu()
    world.park(warm(world, gpus=1))
    other = world.submit(gpus=1, warm_key="a", **WARM)
    assert (world.state(other), len(world.evicted)) == (TaskState.ADMITTED, 1)


def test_another_request_is_not_served_by_it() -> None:
    world = one_gpu()
    world.park(warm(world, gpus=1))
    assert world.started_on(warm(world, gpus=1, cpus=2)) is None


def test_a_worker_that_dies_while_it_is_parked_frees_the_way() -> None:
    world = one_gpu()
    first = warm(world, gpus=1)
    worker = world.attempt(first)
    world.park(first)
    world.worker_gone(worker)
    second = warm(world, gpus=1)
    assert (world.started_on(second), world.state(second)) == (None, TaskState.RUNNING)


def test_a_worker_that_dies_with_its_task_is_not_parked() -> None:
    world = one_gpu()
    world.end(warm(world, gpus=1), "lost")
    assert world.rows.workers() == [] or world.rows.workers()[0].attempts


def test_a_cancelled_task_that_waits_for_an_eviction_is_final_at_once() -> None:
    world = one_gpu()
    world.park(warm(world, gpus=1))
    other = warm(world, "b", gpus=1)
    world.cancel(other)
    assert (world.state(other), other in world.started) == (TaskState.CANCELLED, False)
    third = warm(world, "c", gpus=1)
    world.worker_gone(world.evicted[0])
    assert world.state(third) is TaskState.RUNNING


def test_a_refused_start_leaves_the_worker_parked() -> None:
    world = one_gpu()
    world.auto_start = False
    first = warm(world, gpus=1)
    worker = world.attempt(first)
    world.park(first)
    second = warm(world, gpus=1)
    attempt = world.rows.attempt_of(second)
    world.send(StartRefused(attempt.id, attempt.epoch, (world.taken(0),), "taken"))
    assert (world.state(second), [w.id for w in world.rows.workers() if w.lying]) == (TaskState.READY, [worker])
    world.gone(0)
    assert world.started_on(second) == worker


def test_a_device_that_breaks_down_loses_its_parked_worker() -> None:
    world = one_gpu()
    world.park(warm(world, gpus=1))
    world.send(DevicesSeen((seen(0, fault="Xid 79"),)))
    assert len(world.evicted) == 1


def test_no_more_than_sixteen_workers_lie_parked() -> None:
    world = World(gpus=0, cpus=64)
    keep_run(world)
    tasks = [warm(world, f"key {n}", cpus=1) for n in range(18)]
    world.park(*tasks)
    assert len(world.evicted) == 2


def test_a_restart_keeps_what_is_parked_and_who_waits_for_it() -> None:
    world = one_gpu()
    first = warm(world, gpus=1)
    worker = world.attempt(first)
    world.park(first)
    other = warm(world, "b", gpus=1)
    world.restart()
    assert (world.state(other), other in world.started) == (TaskState.ADMITTED, False)
    world.worker_gone(worker)
    assert world.state(other) is TaskState.RUNNING
