"""The mixed load of naps, and what is possible with it: a lower bound, ideal policies and the kernel alone.

200 tasks for 4 GPUs and 8 CPUs, all there from the start, each one CPU and 10 to 200 ms: 40 % one GPU, 10 % four GPUs,
50 % none. Nothing here starts a process or costs time: the ideals have no overhead at all.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from passloop.apps.queue.convert import to_submitted
from passloop.apps.queue.wire import WireSubmission, WireTask
from passloop.kernel.changes import SubmitAnswer, Turn
from passloop.kernel.events import DeviceSeen, DevicesSeen, Event, Exited, PoolDeclared, PoolKind, Started
from passloop.kernel.instructions import Start
from passloop.kernel.machine import Machine
from passloop.kernel.resources import CPU
from passloop.kernel.tasks import Outcome, OutcomeKind

from .submissions import one_cpu

__all__ = ["CPUS", "GPUS", "Nap", "ideals", "kernel_alone", "lower_bound", "naps", "wire_tasks"]

GPUS, CPUS, TASKS = 4, 8, 200
SUCCESS = Outcome(kind=OutcomeKind.SUCCESS, exit_code=0)
VRAM = 81_920


class Nap(NamedTuple):
    """One task: how many GPUs it asks for, and how long it sleeps in ms."""

    gpus: int
    millis: int


def naps(seed: int) -> list[Nap]:
    """The load, in the order in which it is submitted."""
    chance = random.Random(seed)
    gpus = [1] * (TASKS * 40 // 100) + [GPUS] * (TASKS * 10 // 100)
    gpus += [0] * (TASKS - len(gpus))
    chance.shuffle(gpus)
    return [Nap(count, chance.randint(10, 200)) for count in gpus]


def lower_bound(load: Sequence[Nap]) -> float:
    """Milliseconds that no order can go below: the work for the GPUs and for the CPUs, spread evenly."""
    return max(sum(nap.gpus * nap.millis for nap in load) / GPUS, sum(nap.millis for nap in load) / CPUS)


def simulated(load: Sequence[Nap], order: Sequence[int], *, strict: bool) -> list[int]:
    """Start times in ms if the first that fits in this order starts; with `strict` only the very first may."""
    waiting, starts = list(order), [0] * len(load)
    gpus, cpus, now = GPUS, CPUS, 0
    ends: list[tuple[int, int]] = []
    while waiting:
        for index in list(waiting):
            if load[index].gpus <= gpus and cpus:
                waiting.remove(index)
                starts[index] = now
                gpus, cpus = gpus - load[index].gpus, cpus - 1
                heapq.heappush(ends, (now + load[index].millis, index))
            elif strict:
                break
        now, ended = heapq.heappop(ends)
        gpus, cpus = gpus + load[ended].gpus, cpus + 1
    return starts


def ideals(load: Sequence[Nap]) -> dict[str, list[int]]:
    """Start times under the ideal policies."""
    arrival = range(len(load))
    largest = sorted(arrival, key=lambda index: (-load[index].gpus, -load[index].millis))
    return {
        "ideal first in, first out": simulated(load, arrival, strict=True),
        "ideal first fit": simulated(load, arrival, strict=False),
        "ideal largest first": simulated(load, largest, strict=False),
    }


def wire_tasks(load: Sequence[Nap], command: Callable[[Nap], tuple[str, ...]], how: str) -> list[WireTask]:
    """The load as tasks: `plain`, with `limits` of 250 ms more than they take, or the `largest` ranked first."""
    return [
        WireTask(
            command(nap),
            index=index,
            spec=one_cpu(gpus=nap.gpus, time_limit=nap.millis + 250 if how == "limits" else None),
            rank=-nap.gpus if how == "largest" else 0,
        )
        for index, nap in enumerate(load)
    ]


def kernel_alone(load: Sequence[Nap], how: str) -> list[int]:
    """Start times in ms if our machine decides and everything else takes no time."""
    machine = Machine()
    seen = [DeviceSeen(uuid=f"GPU-{n}", index=n, name="simulated", vram_mib=VRAM, usable_mib=VRAM) for n in range(GPUS)]
    machine.handle([PoolDeclared(CPU, PoolKind.AMOUNT, CPUS * 1_000), DevicesSeen(tuple(seen))], 0)
    wire = WireSubmission(tuple(wire_tasks(load, lambda _nap: ("sleep",), how)), name="naps")
    turn = machine.handle([to_submitted(wire).submitted], 0)
    answer = turn.answers[0]
    assert isinstance(answer, SubmitAnswer)
    index_of: dict[int, int] = {task: index for index, task in enumerate(answer.tasks)}
    starts: dict[int, int] = {}
    ends: list[tuple[int, int, Exited]] = []
    now = 0
    while True:
        turn = _begun(machine, turn, load, index_of, starts, ends, now)
        if not ends:
            return [starts[index] for index in range(len(load))]
        if turn.wake_at is not None and turn.wake_at < ends[0][0]:
            now = max(now, turn.wake_at)
            turn = machine.handle([], now)
        else:
            now, _, ended = heapq.heappop(ends)
            turn = machine.handle([ended], now)


def _begun(
    machine: Machine,
    turn: Turn,
    load: Sequence[Nap],
    index_of: dict[int, int],
    starts: dict[int, int],
    ends: list[tuple[int, int, Exited]],
    now: int,
) -> Turn:
    """Start what a turn orders, until it orders nothing more."""
    while orders := [order for order in turn.instructions if isinstance(order, Start)]:
        events: list[Event] = []
        for order in orders:
            index = index_of[order.task]
            starts[index] = now
            heapq.heappush(ends, (now + load[index].millis, index, Exited(order.attempt, order.epoch, SUCCESS)))
            events.append(Started(order.attempt, order.epoch))
        turn = machine.handle(events, now)
    return turn
