"""The real machine under the simulated load: it is handed the events a healthy box would report, and nothing
else.

`enforced`: every task has its run time as enforced limit. `learned`: no limits; tasks succeed and the
machine learns a class per shape. `none`: no limits, and every task ends as a failure, from which nothing is
learned.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

from passloop.kernel.changes import SubmitAnswer, Turn
from passloop.kernel.events import (
    DeviceSeen,
    DevicesSeen,
    Event,
    Exited,
    PoolDeclared,
    PoolKind,
    Started,
    Submitted,
)
from passloop.kernel.instructions import Start
from passloop.kernel.machine import Machine
from passloop.kernel.resources import CPU, DeviceAsk, Request, Variant
from passloop.kernel.tasks import NewTask, Outcome, OutcomeKind, TaskSpec

from .workload import CPUS, GPUS, WHOLE, Arrival, Shape

__all__ = ["BOUNDS", "simulate_ours"]

BOUNDS = ("enforced", "learned", "none")
VRAM = 81_920
CPU_UNIT = 1_000


@dataclass
class Box:
    """The machine, what is still to come (time in ms, whether it arrives, index), and what was started
    when."""

    machine: Machine
    bounds: str
    arrivals: Sequence[Arrival]
    queue: list[tuple[int, int, int]] = field(default_factory=list)
    index_of: dict[int, int] = field(default_factory=dict)
    exits: dict[int, Exited] = field(default_factory=dict)
    starts: dict[int, int] = field(default_factory=dict)
    wake_at: int | None = None


def _request(shape: Shape) -> Request:
    devices = None
    if shape.share >= WHOLE:
        devices = DeviceAsk(count=shape.share // WHOLE)
    elif shape.share:
        devices = DeviceAsk(share=shape.share)
    return Request((Variant(devices=devices, amounts=((CPU, shape.cpus * CPU_UNIT),)),))


def _spec(arrival: Arrival, bounds: str) -> TaskSpec:
    limit = arrival.millis if bounds == "enforced" else None
    name = arrival.shape.name
    return TaskSpec(request=_request(arrival.shape), time_limit=limit, grace=0, task_class=name, program="program")


def _inventory() -> DevicesSeen:
    return DevicesSeen(
        tuple(
            DeviceSeen(uuid=f"GPU-{index}", index=index, name="simulated", vram_mib=VRAM, usable_mib=VRAM)
            for index in range(GPUS)
        )
    )


def simulate_ours(arrivals: Sequence[Arrival], bounds: str) -> list[int]:
    """Run the machine over the arrivals; gives the start time of each."""
    box = Box(Machine(), bounds, arrivals)
    box.queue = [(arrival.at, 1, index) for index, arrival in enumerate(arrivals)]
    heapq.heapify(box.queue)
    _handle(box, [PoolDeclared(CPU, PoolKind.AMOUNT, CPUS * CPU_UNIT), _inventory()], 0)
    while box.queue:
        now = box.queue[0][0]
        if box.wake_at is not None and box.wake_at < now:
            _handle(box, [], box.wake_at)
            continue
        _handle(box, _due(box, now), now)
    return [box.starts[index] for index in range(len(arrivals))]


def _due(box: Box, now: int) -> list[Event]:
    events: list[Event] = []
    while box.queue and box.queue[0][0] == now:
        _, arrives, index = heapq.heappop(box.queue)
        if arrives:
            spec = _spec(box.arrivals[index], box.bounds)
            events.append(Submitted(name=str(index), tasks=(NewTask(spec=spec),)))
        else:
            events.append(box.exits.pop(index))
    return events


def _handle(box: Box, events: Sequence[Event], now: int) -> None:
    turn = box.machine.handle(events, now)
    for event, answer in zip(events, turn.answers, strict=True):
        if isinstance(event, Submitted):
            assert isinstance(answer, SubmitAnswer), answer
            box.index_of[answer.tasks[0]] = int(event.name)
    box.wake_at = turn.wake_at
    started = _start(box, turn, now)
    if started:
        _handle(box, started, now)


def _start(box: Box, turn: Turn, now: int) -> list[Event]:
    kind = OutcomeKind.FAILURE if box.bounds == "none" else OutcomeKind.SUCCESS
    started: list[Event] = []
    for order in turn.instructions:
        if isinstance(order, Start):
            index = box.index_of[order.task]
            box.starts[index] = now
            box.exits[index] = Exited(order.attempt, order.epoch, Outcome(kind=kind))
            heapq.heappush(box.queue, (now + box.arrivals[index].millis, 0, index))
            started.append(Started(order.attempt, order.epoch))
    return started
