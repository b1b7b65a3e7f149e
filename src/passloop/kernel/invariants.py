"""What must hold after every batch. `check` raises `BrokenInvariant` with the first law that does not.

The numbers are those of `3-kernel.md`. Laws that need history (first in first out, isolation, replay) are property
tests; this function looks at one state alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from .amounts import SHARE_WHOLE
from .ends import Ends
from .errors import BrokenInvariant
from .events import PoolKind
from .fitting import fit
from .machine import Machine
from .records import Group, Task
from .reservations import Room, last_resort, room_for
from .source_records import LiveCell, Node, Source, Unit
from .source_rows import SourceState
from .state import State
from .tasks import TaskState

__all__ = ["check"]

Counted = TypeVar("Counted")
_WITH_ATTEMPT = {TaskState.ADMITTED, TaskState.RUNNING, TaskState.STOPPING}
_MAY_WAIT_FOR_OTHERS = {TaskState.WAITING, TaskState.HELD}


@dataclass(slots=True)
class _Census:
    """What the laws ask of all tasks, found in one walk: the ready ones with their groups, those that have a
    reservation, those that agree with no attempt, those that go on before what they wait for, the cells.
    """

    now: int
    ready: list[int] = field(default_factory=list)
    working: dict[Group, int] = field(default_factory=dict)
    reserving: set[int] = field(default_factory=set)
    unmatched: list[Task] = field(default_factory=list)
    early: list[Task] = field(default_factory=list)
    cells: list[tuple[LiveCell, TaskState]] = field(default_factory=list)


def check(machine: Machine, now: int) -> None:
    """Check invariants 1, 2, 6, 7 and the consistency of the machine's own records, at engine time `now`."""
    state = machine.state
    census = _take_census(state, now)
    for law in (
        _conserved,
        _devices_conserved,
        _workers_conserved,
        _node_matches,
        _attempts_match,
        _queue_matches,
        _groups_match,
        _dependencies_hold,
        _sources_match,
        _not_stranded,
    ):
        for broken in law(state, census):
            raise BrokenInvariant(f"{law.__doc__}: {broken}")


def _take_census(state: State, now: int) -> _Census:
    found = _Census(now)
    working = found.working
    for task in state.tasks.values():
        at = task.state
        if at is TaskState.READY:
            found.ready.append(task.id)
            working[task.group] = working.get(task.group, 0) + 1
        if (task.attempt is not None) != (at in _WITH_ATTEMPT):
            found.unmatched.append(task)
        if task.unmet and at not in _MAY_WAIT_FOR_OTHERS and not task.final:
            found.early.append(task)
        if task.reservation is not None:
            found.reserving.add(task.id)
        if task.cell is not None:
            found.cells.append((task.cell, at))
    return found


def _count(things: Iterable[Counted]) -> dict[Counted, int]:
    """How often each is there; a `Counter` costs more than what it counts here."""
    found: dict[Counted, int] = {}
    for thing in things:
        found[thing] = found.get(thing, 0) + 1
    return found


def _conserved(state: State, census: _Census) -> Iterator[str]:
    """1. charges + free = capacity, all >= 0"""
    charges: dict[str, int] = {}
    for attempt in state.attempts.values():
        for name, amount in attempt.allocation.amounts:
            charges[name] = charges.get(name, 0) + amount
    for pool in state.pools.values():
        if pool.kind is PoolKind.RATE:
            continue
        charged = charges.get(pool.name, 0)
        if charged != pool.used or sum(pool.holders.values()) != charged:
            yield f"pool {pool.name} has {pool.used} used, attempts hold {charged}"
        if pool.used < 0:
            yield f"pool {pool.name} has {pool.used} used"


def _devices_conserved(state: State, census: _Census) -> Iterator[str]:
    """1. device shares + free = whole, a whole device never shared"""
    for device in state.devices.devices.values():
        share, vram, has_whole = device.free_share, device.free_vram, False
        for grant in device.holders.values():
            share, vram = share + grant.share, vram + grant.vram_mib
            has_whole = has_whole or grant.share == SHARE_WHOLE
        if share != SHARE_WHOLE or device.free_share < 0:
            yield f"{device.uuid}: {device.free_share} free beside {device.holders}"
        if vram != device.vram:
            yield f"{device.uuid}: {device.free_vram} MiB free beside {device.holders}"
        if has_whole and len(device.holders) > 1:
            yield f"{device.uuid} is whole and shared"
        for attempt in device.holders:
            if attempt not in state.attempts:
                yield f"{device.uuid} is held by attempt {attempt}, which is not live"


def _workers_conserved(state: State, census: _Census) -> Iterator[str]:
    """1. what lies parked is promised to nobody who was started, and only who waits behind holds nothing"""
    behind = {attempt for worker in state.workers.by_id.values() for attempt in worker.attempts[1:]}
    for attempt in state.attempts.values():
        if attempt.id in behind and (attempt.allocation.amounts or attempt.allocation.devices):
            yield f"attempt {attempt.id} waits behind another and holds {attempt.allocation}"
    for worker in state.workers.by_id.values():
        if any(attempt not in state.attempts for attempt in worker.attempts):
            yield f"worker {worker.id} has attempts {worker.attempts} that are not live"
    for device in (one for one in state.devices.devices.values() if one.parked):
        lying = [grant for grant, _ in device.parked.values()]
        waiting = sum(g.share for a, g in device.holders.items() if a in state.workers.kept_back)
        if device.free_share + waiting < sum(grant.share for grant in lying):
            yield f"{device.uuid} has two owners: {device.holders} and {device.parked}"
        staying = [g for number, (g, _) in device.parked.items() if not state.workers.by_id[number].evicted]
        if device.free_share < sum(grant.share for grant in staying):
            yield f"{device.uuid} is promised twice: {device.holders} and {staying}"


def _node_matches(state: State, census: _Census) -> Iterator[str]:
    """1. the node is held by who is live on it, each once, and kept by who is so exclusively"""
    node = state.node
    live = [attempt for attempt in state.attempts.values() if attempt.shape.on_node]
    there = {attempt.id: attempt.run for attempt in live}
    if node.holders != there:
        yield f"the node is held by {node.holders}, on it are {there}"
    if dict(node.runs) != _count(there.values()):
        yield f"the node counts {dict(node.runs)}, on it are {there}"
    if node.exclusive.keys() != {attempt.id for attempt in live if attempt.allocation.exclusive}:
        yield f"the node is kept by {node.exclusive}, on it are {there}"


def _attempts_match(state: State, census: _Census) -> Iterator[str]:
    """3. at most one live attempt per task, and tasks and attempts agree"""
    for attempt in state.attempts.values():
        if attempt.state == "stray":
            continue
        task = state.tasks.get(attempt.task)
        if task is None or task.attempt is not attempt or task.state not in _WITH_ATTEMPT:
            yield f"attempt {attempt.id} is {attempt.state}, its task {task.state if task else 'gone'}"
    for task in census.unmatched:
        yield f"task {task.id} is {task.state} with attempt {task.attempt and task.attempt.id}"


def _queue_matches(state: State, census: _Census) -> Iterator[str]:
    """a ready task is in exactly one place"""
    places = [place[3] for lane in state.queue.lanes() for place in lane.places()]
    reserved: list[int] = [task.id for task in state.reserved]
    if sorted(places + reserved) != sorted(census.ready):
        yield f"queued {sorted(places)} and reserved {reserved}, ready {sorted(census.ready)}"
    for task in census.reserving ^ set(reserved):
        yield f"task {task} has reservation {state.tasks[task].reservation} and is in {reserved}"
    for level in state.queue.levels.values():
        for lanes in level.values():
            heads = [lane.head for lane in lanes.ordered]
            if None in heads or heads != sorted(heads):  # type: ignore[type-var]
                yield f"lanes out of order: {heads}"


def _groups_match(state: State, census: _Census) -> Iterator[str]:
    """a group counts its ready tasks and what its live attempts are charged, and is busy while it has such tasks"""
    counted = {group.name: group.work for group in state.groups.values() if group.work}
    work: dict[str, int] = {}
    for group, times in census.working.items():
        for each in group.path:
            work[each.name] = work.get(each.name, 0) + times
    if counted != work:
        yield f"groups count {counted}, there are {work}"
    busy = [*state.busy, *(name for group in state.groups.values() for name in group.busy)]
    if len(busy) != len(work) or work.keys() != set(busy):
        yield f"busy are {sorted(busy)}, work has {sorted(work)}"
    charged: dict[str, int] = {}
    for attempt in state.attempts.values():
        for each in attempt.group.path:
            charged[each.name] = charged.get(each.name, 0) + attempt.charged
    for group in state.groups.values():
        if group.pending != charged.get(group.name, 0):
            yield f"group {group.name} has {group.pending} ms pending, its live attempts are charged {charged}"


def _dependencies_hold(state: State, census: _Census) -> Iterator[str]:
    """7. no dependent starts before what it asked of its dependencies"""
    for task in census.early:
        yield f"task {task.id} is {task.state} and waits for {sorted(task.unmet)}"


def _sources_match(state: State, census: _Census) -> Iterator[str]:
    """12. what sources count of their tasks and memory is so"""
    if not state.sources:
        return
    ready = _count(cell.node for cell, at in census.cells if at is TaskState.READY)
    live = _count(cell.node for cell, _ in census.cells)
    left = _count(cell.unit for cell, _ in census.cells)
    for unit, tasks in left.items():
        source = state.sources.get(unit.source.run)
        if source is unit.source and source.units.get(unit.number) is not unit:
            yield f"{tasks} live tasks count for unit {unit.number} of run {source.run}, which it does not know"
    for source in state.sources.values():
        yield from _nodes_match(source, ready, live)
        yield from _units_match(source, left)
        if (source.asked is not None) != (source.state is SourceState.ASKED):
            yield f"run {source.run} is {source.state} and asked for {source.asked}"


def _nodes_match(source: Source, ready: Mapping[Node, int], live: Mapping[Node, int]) -> Iterator[str]:
    for number, node in enumerate(source.nodes):
        found = ready.get(node, 0), live.get(node, 0)
        if found != (node.ready, node.live):
            yield f"run {source.run} counts {node.ready} ready of {node.live} tasks of node {number}, there are {found}"
        if source.lags and any(source.front(number) > source.front(before) for before in node.after):
            yield f"run {source.run} has node {number} further than what it comes after: {source.lags}"


def _units_match(source: Source, left: Mapping[Unit, int]) -> Iterator[str]:
    total = resident = 0
    for unit in source.units.values():
        tasks = left.get(unit, 0)
        total, resident = total + tasks, resident + unit.resident
        if tasks != unit.left:
            yield f"run {source.run} counts {unit.left} live tasks of unit {unit.number}, there are {tasks}"
    if source.left != total:
        yield f"run {source.run} counts {source.left} live tasks, there are {total}"
    if source.bytes != resident:
        yield f"run {source.run} counts {source.bytes} bytes"


def _not_stranded(state: State, census: _Census) -> Iterator[str]:
    """2. at rest, no ready task fits beside used and reserved before it"""
    if state.draining or state.paused or state.turn.admission:
        return
    now = census.now
    ends = Ends(state, now)
    rooms: list[Room] = []
    for task in state.reserved:
        before = [room for room in rooms if room.task.priority >= task.priority]
        if fit(state, task, before, last_resort(before), now) is not None:
            yield f"task {task.id} holds a reservation and fits"
        rooms.append(room_for(state, task, before, ends, now))
    known: dict[int, tuple[list[Room], frozenset[str]]] = {}
    for lane in state.queue.lanes():
        assert lane.head is not None
        if lane.priority not in known:
            before = [room for room in rooms if room.task.priority >= lane.priority]
            known[lane.priority] = before, last_resort(before)
        task = state.tasks[lane.head[3]]
        if fit(state, task, *known[lane.priority], now) is not None:
            yield f"task {task.id} is ready and fits"
