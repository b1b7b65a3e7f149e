"""How many tasks of one kind run at once, on all that this machine has and on what is free, and whether any ever can.
The kernel itself is asked, on a box that holds nothing else; there is no second rule here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

from passloop.apps.queue.views import Json
from passloop.kernel.changes import Refusal
from passloop.kernel.events import DeviceSeen, DevicesSeen, Event, PoolDeclared, PoolKind, Submitted
from passloop.kernel.ids import PoolName, TaskId
from passloop.kernel.machine import Machine
from passloop.kernel.overview import DeviceView, PoolView
from passloop.kernel.tasks import NewTask, TaskSpec

__all__ = ["can_ever_fit", "fits"]

MOST_ASKED = 256
"""More than this are not counted."""


class Room(NamedTuple):
    """How many fit, and why no more (nothing if more may fit)."""

    tasks: int
    sentence: str


def fits(spec: TaskSpec, devices: Iterable[DeviceView], pools: Iterable[PoolView]) -> Json:
    """`most` on what the machine has, `now` on what is free, and the sentence that says what ends it."""
    devices, pools = list(devices), list(pools)
    whole = _room(spec, [_whole(device) for device in devices], [(pool, pool.capacity) for pool in pools])
    free = _room(
        spec,
        [_free(device) for device in devices if device.free_share and device.state == "available"],
        [(pool, pool.free) for pool in pools],
    )
    return {"most": whole.tasks, "now": free.tasks, "sentence": whole.sentence}


def can_ever_fit(spec: TaskSpec, devices: Iterable[DeviceView], pools: Iterable[PoolView]) -> bool:
    """Whether one such task can run on what this machine has now, were it all free; a lost device is not had."""
    had = tuple(_whole(device) for device in devices if device.state != "lost")
    events = _declared((pool, pool.capacity) for pool in pools)
    task = NewTask(replace(spec, wait_for_capacity=False))
    turn = Machine().handle([*events, DevicesSeen(had), Submitted("fits", (task,))], 0)
    return not isinstance(turn.answers[-1], Refusal)


def _declared(pools: Iterable[tuple[PoolView, int]]) -> list[Event]:
    return [
        PoolDeclared(PoolName(pool.name), PoolKind(pool.kind), capacity) for pool, capacity in pools if capacity > 0
    ]


def _room(spec: TaskSpec, devices: list[DeviceSeen], pools: list[tuple[PoolView, int]]) -> Room:
    machine = Machine()
    tasks = tuple(NewTask(spec) for _ in range(MOST_ASKED + 1))
    machine.handle(
        [*_declared(pools), DevicesSeen(tuple(devices)), Submitted("fits", tasks, refuse_impossible=False)], 0
    )
    count = min(len(machine.running()), MOST_ASKED)
    waiting = [task for task in machine.state.tasks.values() if task.attempt is None and not task.final]
    blockers = machine.explain(TaskId(waiting[0].id), 0) if waiting and count < MOST_ASKED else ()
    return Room(count, blockers[0].sentence.partition("; held by")[0] if blockers else "")


def _whole(device: DeviceView) -> DeviceSeen:
    return DeviceSeen(device.uuid, device.index, device.name, device.vram_mib, device.vram_mib)


def _free(device: DeviceView) -> DeviceSeen:
    return DeviceSeen(device.uuid, device.index, device.name, device.vram_mib, device.free_mib)
