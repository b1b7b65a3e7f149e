"""What a source is asked for, and when. Pure: a function of the state, of the template and of counters.

The rule (`3-kernel.md`, "Sources"): a unit is asked for iff a walk of its template, from the roots, reaches a node that
wants work, and the memory guard allows it. The walk stops at a node that needs a closed pool, since what comes after it
waits with it; and at one that has enough ready work, since another unit would only queue behind that. It goes on behind
local work, which alone is no reason for a unit unless it completes an output.

While less memory is kept than is free of its guard, units are whole. From then on only a *part* is asked for: the nodes
of a unit that the walk reached and that want work, each while its own tasks keep less than is free. The rest of the
unit is written out later: a node that lags is reached without those before it, for what it comes after is there
already. So each closed pool fills at most half of what others leave, and these run ahead of it as far as they like.

What would fail at once, since a pool is dead and its run does not wait for it, is asked for when nothing else is: what
lags of it, or all, if all would. So such a run ends.

A decision costs O(template). Only what is live and ready of the source's own is counted, per node; nodes that draw on
the same pools are ready together. Whether a pool is open changes no count, so opening one never takes a unit away.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from .amounts import SHARE_WHOLE
from .closures import dead_end
from .ends import Ends
from .events import PoolKind
from .fitting import could_ever_fit, fit, is_able
from .ids import RunId
from .pools import ScalarPool
from .records import Shape, ShapeVariant
from .reservations import Room, last_resort, refill_beside, room_for
from .resources import DeviceAsk
from .source_records import Node, Source
from .source_rows import Part, SourceState
from .state import State

__all__ = ["Newcomer", "Walk", "guard_allows", "has_share", "next_part", "next_refill", "rooms_before", "walk"]

UNBOUNDED = 1 << 62


def next_part(state: State, source: Source) -> Part | None:
    """What would feed a pool, if memory allows it: a unit, or a part of one."""
    return walk(state, source).part if guard_allows(source) else None


def guard_allows(source: Source) -> bool:
    """Whether unfinished units leave room in memory for one more; the first always has room."""
    guard = source.plan.guard
    if not source.units:
        return True
    if guard.units is not None and len(source.units) >= guard.units:
        return False
    return guard.bytes is None or source.bytes < guard.bytes


def _is_roomy(source: Source) -> bool:
    """Whether memory has plenty of room, so that units are written out whole. One of a single node always is."""
    most = source.plan.guard.bytes
    return most is None or not source.units or len(source.nodes) == 1 or source.bytes < most - source.bytes


def has_share(source: Source, node: Node) -> bool:
    """Whether another part of a node may come: its live tasks, each as the mean of all, keep less than is free."""
    most = source.plan.guard.bytes
    return most is None or _is_roomy(source) or node.live * source.bytes < (most - source.bytes) * source.left


@dataclass(slots=True)
class Walk:
    """Where a walk came to. `part` is what to ask for, if anything; `stops` are the nodes that stopped it.

    `wanted` are the nodes that it reached and that want work, `fed` those of them that are worth a unit.
    """

    part: Part | None = None
    stops: list[int] = field(default_factory=list)
    wanted: list[int] = field(default_factory=list)
    fed: list[int] = field(default_factory=list)


def walk(state: State, source: Source) -> Walk:
    """Walk the template from its roots, for what is worth most: a node without ready work, then the earliest unit."""
    found, is_roomy = Walk(), _is_roomy(source)
    ready = [0] * len(source.nodes)
    for node in source.nodes:
        ready[node.kin] += node.ready
    for number, node in enumerate(source.nodes):
        if not _is_to_come(source, number) or not _is_reached(source, number, found.wanted):
            continue
        if not (is_roomy or has_share(source, node)) or not _wants_work(state, source, node, ready[node.kin]):
            found.stops.append(number)
            continue
        found.wanted.append(number)
        if node.counts or number in source.lags:
            found.fed.append(number)
            if is_roomy and not source.lags:
                break
    if found.fed:
        best = min(found.fed, key=lambda number: (ready[source.nodes[number].kin] > 0, source.front(number)))
        found.part = _part(source, source.front(best), None if is_roomy else found.wanted)
    else:
        found.part = _lost_part(state, source, found.wanted, is_roomy=is_roomy)
    return found


def _is_to_come(source: Source, number: int) -> bool:
    """Whether a node has a next unit that may be asked for: one that rests waits with its new units."""
    return number in source.lags or (source.has_more and source.state is not SourceState.RESTING)


def _is_reached(source: Source, number: int, passed: Sequence[int]) -> bool:
    """Whether what a node comes after is passed, or is there: then it lags behind that."""
    front = source.front(number)
    return all(before in passed or front < source.front(before) for before in source.nodes[number].after)


def _part(source: Source, unit: int, nodes: Sequence[int] | None) -> Part:
    """Those of the nodes (None: of all) whose next unit is this one."""
    if nodes is None and not source.lags:
        return Part(unit)
    count = len(source.nodes)
    chosen = tuple(n for n in range(count) if source.front(n) == unit and (nodes is None or n in nodes))
    return Part(unit, () if len(chosen) == count else chosen)


def _lost_part(state: State, source: Source, wanted: Sequence[int], *, is_roomy: bool) -> Part | None:
    """What is to come only to fail at once: what lags of it, and new units if nothing else is to come but local work
    that is `wanted` and no reason for a unit.
    """
    ends: list[int] = []
    lost: list[int] = []
    for number, node in enumerate(source.nodes):
        lags = number in source.lags
        if any(before in ends for before in node.after) or _fails_at_once(state, source, node, behind=lags):
            ends.append(number)
            if lags and _is_reached(source, number, lost):
                lost.append(number)
    if not lost and len({*ends, *wanted}) == len(source.nodes) and _is_to_come(source, 0):
        lost = list(range(len(source.nodes)))
    if not lost:
        return None
    return _part(source, min(map(source.front, lost)), None if is_roomy else lost)


def _fails_at_once(state: State, source: Source, node: Node, *, behind: bool) -> bool:
    """Whether its tasks end as soon as they are ready: on a dead pool, or since they can never fit.

    What cannot fit now is no reason for new units, but a unit that has begun (`behind`) is not left half.
    """
    dead = dead_end(state, Newcomer(source.run, node.shape)) is not None
    return dead or (behind and not could_ever_fit(state, node.shape))


def next_refill(state: State, source: Source) -> int | None:
    """When a rate that a source waits for is refilled: time alone brings that, so somebody must look then."""
    if source.plan.ahead:
        return None
    draws = [draw for node in source.nodes for variant in node.shape.variants for draw in variant.draws]
    rates = [(pool, amount) for pool, amount in draws if pool.kind is PoolKind.RATE]
    rooms = rooms_before(state, source.priority) if rates else []
    refills = (refill_beside(rooms, pool, amount, state.now) for pool, amount in rates)
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
