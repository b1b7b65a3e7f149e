"""Small reference policies to compare with: strict first in first out, greedy skip, exact EASY backfill.

They know the true run times where a policy may, share one node model, and use nothing of passloop, so that a
mistake in the kernel cannot hide in its own yardstick.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .workload import CPUS, GPUS, WHOLE, Arrival, Shape

__all__ = ["POLICIES", "simulate"]


@dataclass
class Node:
    """What is free: `shares` per device in 1/10,000, and `cpus`."""

    shares: list[int] = field(default_factory=lambda: [WHOLE] * GPUS)
    cpus: int = CPUS

    def copy(self) -> Node:
        return Node(list(self.shares), self.cpus)

    def take(self, shape: Shape, devices: Sequence[int], sign: int = 1) -> None:
        """Take (or with `sign` -1 give back) what the shape needs on these devices."""
        each = min(shape.share, WHOLE)
        for device in devices:
            self.shares[device] -= sign * each
        self.cpus -= sign * shape.cpus


@dataclass(frozen=True, slots=True)
class Running:
    """A started task, its devices and its true end."""

    end: int
    index: int
    shape: Shape
    devices: tuple[int, ...]


@dataclass
class State:
    """The whole of a simulated box."""

    node: Node = field(default_factory=Node)
    running: dict[int, Running] = field(default_factory=dict)
    waiting: list[int] = field(default_factory=list)
    starts: dict[int, int] = field(default_factory=dict)


Place = tuple[int, ...] | None
Policy = Callable[[State, Sequence[Arrival], int], list[tuple[int, tuple[int, ...]]]]


def place(shape: Shape, free: Node, beside: Node | None = None) -> Place:
    """The devices for a shape, or None: whole devices by number, a share by best fit; also free in
    `beside`."""
    limits = beside if beside is not None else free
    if shape.cpus > min(free.cpus, limits.cpus):
        return None
    if shape.share == 0:
        return ()
    each = min(shape.share, WHOLE)
    fitting = [device for device in range(GPUS) if free.shares[device] >= each and limits.shares[device] >= each]
    count = max(1, shape.share // WHOLE)
    if len(fitting) < count:
        return None
    fitting.sort(key=lambda device: free.shares[device])
    return tuple(fitting[:count])


def strict(state: State, arrivals: Sequence[Arrival], now: int) -> list[tuple[int, tuple[int, ...]]]:
    """First in, first out: stop at the first that does not fit."""
    chosen = []
    for index in state.waiting:
        devices = place(arrivals[index].shape, state.node)
        if devices is None:
            break
        _start(state, arrivals, index, devices, now)
        chosen.append((index, devices))
    return chosen


def greedy(state: State, arrivals: Sequence[Arrival], now: int) -> list[tuple[int, tuple[int, ...]]]:
    """Start whatever fits, in order of arrival."""
    chosen = []
    for index in state.waiting:
        devices = place(arrivals[index].shape, state.node)
        if devices is not None:
            _start(state, arrivals, index, devices, now)
            chosen.append((index, devices))
    return chosen


def easy(state: State, arrivals: Sequence[Arrival], now: int) -> list[tuple[int, tuple[int, ...]]]:
    """EASY backfill with true run times: reserve for the first that does not fit, let pass what cannot delay
    it.
    """
    chosen = []
    shadow: int | None = None
    beside = Node()
    for index in state.waiting:
        shape = arrivals[index].shape
        if shadow is None:
            devices = place(shape, state.node)
            if devices is None:
                shadow, beside = _reserve(state, shape)
                continue
        elif now + arrivals[index].millis <= shadow:
            devices = place(shape, state.node)
        else:
            devices = place(shape, state.node, beside)
            if devices is not None:
                beside.take(shape, devices)
        if devices is not None:
            _start(state, arrivals, index, devices, now)
            chosen.append((index, devices))
    return chosen


def _reserve(state: State, shape: Shape) -> tuple[int, Node]:
    """When the shape can start at the latest, and what is free then beside it."""
    free = state.node.copy()
    for running in sorted(state.running.values(), key=lambda one: (one.end, one.index)):
        free.take(running.shape, running.devices, sign=-1)
        devices = place(shape, free)
        if devices is not None:
            free.take(shape, devices)
            return running.end, free
    raise AssertionError("larger than the box")


def _start(state: State, arrivals: Sequence[Arrival], index: int, devices: tuple[int, ...], now: int) -> None:
    arrival = arrivals[index]
    state.node.take(arrival.shape, devices)
    state.running[index] = Running(now + arrival.millis, index, arrival.shape, devices)
    state.starts[index] = now


def simulate(arrivals: Sequence[Arrival], policy: Policy) -> list[int]:
    """Run a policy over the arrivals; gives the start time of each."""
    state = State()
    queue: list[tuple[int, int, int]] = [(arrival.at, 1, index) for index, arrival in enumerate(arrivals)]
    heapq.heapify(queue)
    while queue:
        now = queue[0][0]
        while queue and queue[0][0] == now:
            _, arrives, index = heapq.heappop(queue)
            if arrives:
                state.waiting.append(index)
            else:
                ended = state.running.pop(index)
                state.node.take(ended.shape, ended.devices, sign=-1)
        started = policy(state, arrivals, now)
        for index, _ in started:
            heapq.heappush(queue, (now + arrivals[index].millis, 0, index))
        if started:
            taken = {index for index, _ in started}
            state.waiting = [index for index in state.waiting if index not in taken]
    return [state.starts[index] for index in range(len(arrivals))]


POLICIES: dict[str, Policy] = {"strict": strict, "greedy": greedy, "easy": easy}
