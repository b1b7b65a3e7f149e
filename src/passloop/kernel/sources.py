"""When a source is asked for its next unit. Pure: a function of the state, of the template and of counters.

The rule (`3-kernel.md`, "Sources"): a unit is asked for iff a walk of its template, from the roots, reaches a node that
wants work, and the memory guard allows it. The walk stops at a node that needs a closed pool, since what comes after it
waits with it; and at one that has enough ready work, since another unit would only queue behind that. It goes on behind
local work, which alone is no reason for a unit unless it completes an output. Where every node of the template would
fail at once, since pools are dead and its run does not wait for them, units come for that alone: so such a run ends.

A decision costs O(template). Only what is ready of the source's own is counted, per node; nodes that draw on the same
pools count together. Whether a pool is open changes no count, so opening one never takes a unit away.
"""

from __future__ import annotations

from dataclasses import dataclass

from .amounts import SHARE_WHOLE
from .closures import dead_end
from .ends import Ends
from .events import PoolKind
from .fitting import fit, is_able
from .ids import RunId
from .pools import ScalarPool
from .records import Shape, ShapeVariant
from .reservations import Room, last_resort, room_for
from .resources import DeviceAsk
from .source_records import Node, Source
from .state import State

__all__ = ["Newcomer", "Walk", "guard_allows", "next_refill", "rooms_before", "walk", "wants_unit"]

UNBOUNDED = 1 << 62


def wants_unit(state: State, source: Source) -> bool:
    """Whether the next unit would feed a pool, and memory allows it."""
    return guard_allows(source) and walk(state, source).fed is not None


def guard_allows(source: Source) -> bool:
    """Whether unfinished units leave room in memory for one more; the first always has room."""
    guard = source.plan.guard
    if not source.units:
        return True
    if guard.units is not None and len(source.units) >= guard.units:
        return False
    return guard.bytes is None or source.bytes < guard.bytes


@dataclass(frozen=True, slots=True)
class Walk:
    """Where a walk came to: the first node that is worth a unit, if any, and the nodes that stopped it before."""

    fed: int | None
    stops: tuple[int, ...]


def walk(state: State, source: Source) -> Walk:
    """Walk the template from its roots to the first node that is worth a unit."""
    ready = [0] * len(source.nodes)
    for node in source.nodes:
        ready[node.kin] += node.ready
    passed: list[bool] = []
    stops: list[int] = []
    for number, node in enumerate(source.nodes):
        reached = all(passed[before] for before in node.after)
        wants = reached and _wants_work(state, source, node, ready[node.kin])
        if wants and node.counts:
            return Walk(number, tuple(stops))
        if reached and not wants:
            stops.append(number)
        passed.append(wants)
    return Walk(0 if _is_lost(state, source) else None, tuple(stops))


def _is_lost(state: State, source: Source) -> bool:
    """Whether all that is to come would fail at once, on dead pools: then nothing is worth waiting for."""
    lost: list[bool] = []
    for node in source.nodes:
        ends = any(lost[before] for before in node.after)
        lost.append(ends or dead_end(state, Newcomer(source.run, node.shape)) is not None)
    return all(lost)


def next_refill(state: State, source: Source) -> int | None:
    """When a rate that a source waits for is refilled: time alone brings that, so somebody must look then."""
    if source.plan.ahead:
        return None
    draws = [draw for node in source.nodes for variant in node.shape.variants for draw in variant.draws]
    refills = (pool.next_refill(amount, state.now) for pool, amount in draws if pool.kind is PoolKind.RATE)
    return min((refill for refill in refills if refill is not None), default=None)


def _wants_work(state: State, source: Source, node: Node, ready: int) -> bool:
    """Whether another task of this node would find too little ready beside what runs."""
    if not source.plan.ahead:
        return not ready and _could_start(state, source, node.shape)
    able = (variant for variant in node.shape.variants if is_able(state, variant))
    return any(ready < max(1, source.plan.ahead * _places(state, variant)) for variant in able)


def _places(state: State, variant: ShapeVariant) -> int:
    """How many such tasks the empty pools hold, the smallest of them deciding."""
    places = 1 if variant.exclusive else UNBOUNDED
    for pool, amount in variant.draws:
        places = min(places, _limit(pool) // amount)
    if variant.devices is not None:
        places = min(places, _device_places(state, variant.devices))
    return places


def _limit(pool: ScalarPool) -> int:
    closure = pool.closure
    return pool.capacity if closure is None or pool.kind is PoolKind.RATE else min(closure.limit, pool.capacity)


def _device_places(state: State, ask: DeviceAsk) -> int:
    able = [device for device in state.devices.devices.values() if device.could_serve(ask)]
    if not ask.share:
        return len(able) // ask.count
    return sum(min(SHARE_WHOLE // ask.share, d.usable // max(1, d.vram_for(ask))) for d in able)


class Newcomer:
    """A task that a source would bring, for the predicates of admission."""

    __slots__ = ("run", "shape", "variant_from")

    def __init__(self, run: RunId, shape: Shape) -> None:
        self.run = run
        self.shape = shape
        self.variant_from = 0


def _could_start(state: State, source: Source, shape: Shape) -> bool:
    """Whether a task of this shape would start now, beside what is used and reserved before it."""
    rooms = rooms_before(state, source.priority)
    return fit(state, Newcomer(source.run, shape), rooms, last_resort(rooms), state.now) is not None


def rooms_before(state: State, priority: int) -> list[Room]:
    """The room that reservations leave to those who come after them."""
    ends = Ends(state, state.now)
    rooms: list[Room] = []
    for task in state.reserved:
        if task.priority >= priority:
            rooms.append(room_for(state, task, rooms, ends, state.now))
    return rooms
