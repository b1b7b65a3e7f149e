"""What a look at devices, a fault that was reported and little memory mean for those who wait."""

from __future__ import annotations

from passloop.kernel.events import StartRefused
from passloop.kernel.tasks import TaskState
from tests.support.builders import GIB, HOUR, MINUTE, SECOND, VRAM, World, seen


def test_a_look_does_not_clear_a_device_that_an_attempt_called_faulty() -> None:
    world = World(gpus=1)
    task = world.submit(gpus=1)
    world.end(task, "device_fault", device="GPU-0", message="it fell off the bus")
    world.see(seen(0))
    assert world.why(task) == ["quarantined"]
    world.vouch("GPU-0")
    assert world.running == [task]


def test_a_look_that_fails_in_between_does_not_clear_it_either() -> None:
    world = World(gpus=1)
    task = world.submit(gpus=1)
    world.end(task, "device_fault", device="GPU-0", message="it fell off the bus")
    world.see(seen(0, fault="NVML: Unknown Error"))
    world.see(seen(0))
    assert world.why(task) == ["quarantined"]
    world.see(seen(0, fault="NVML: Unknown Error"))
    world.vouch("GPU-0")
    assert world.running == [task]


def test_a_fault_that_only_a_look_told_of_is_over_with_the_next_good_one() -> None:
    world = World(gpus=[seen(0, fault="NVML: Unknown Error")])
    task = world.submit(gpus=1)
    assert world.why(task) == ["quarantined"]
    world.see(seen(0))
    assert world.running == [task]


def test_who_waits_for_memory_of_a_device_starts_when_it_is_seen_to_be_there() -> None:
    world = World(gpus=[seen(0, usable_mib=10 * GIB)])
    task = world.submit(share=0.5, vram=20 * GIB, wait_for_capacity=True)
    assert world.why(task) == ["vetoed"]
    world.see(seen(0, usable_mib=30 * GIB))
    assert world.running == [task]


def test_a_device_with_little_memory_is_looked_at_while_somebody_waits_for_it() -> None:
    world = World(gpus=[seen(0, usable_mib=VRAM // 2)])
    world.submit(gpus=1)
    assert world.watched == ("GPU-0",)


def test_when_several_devices_are_free_is_told_by_the_last_of_them() -> None:
    world = World(gpus=2)
    world.submit(gpus=1, limit=MINUTE)
    world.submit(gpus=1, limit=10 * MINUTE)
    task = world.submit(gpus=2)
    assert [blocker.until for blocker in world.machine.explain(task, world.now)] == [
        world.now + 10 * MINUTE + 10 * SECOND
    ]


def test_what_was_seen_at_a_start_that_is_refused_counts_though_its_attempt_is_over() -> None:
    """Told of a call that had just been lost with its worker; the next task was given that device."""
    world = World(gpus=1)
    first = world.submit(gpus=1)
    attempt = world.rows.attempt_of(first)
    world.end(first, "lost", engine_lost=True, retry_after=HOUR)
    world.send(StartRefused(attempt.id, attempt.epoch, (world.taken(0),), "device is no longer free"))
    second = world.submit(gpus=1)
    assert world.state(second) is TaskState.READY
    world.see(seen(0))
    assert world.state(second) is TaskState.RUNNING
