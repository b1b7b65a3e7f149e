"""How a source is, and why it is not asked for more: as data, by the walk that decides it. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .blockers import Blocker, BlockerCode, closed_pool, explain_newcomer, unusable_device
from .cooldowns import Gate
from .device_pool import DeviceState
from .fitting import is_able
from .records import ShapeVariant
from .resources import CPU, DISK, MEMORY
from .source_records import Source
from .source_rows import SourceRow, SourceState
from .sources import Newcomer, guard_allows, has_share, rooms_before, walk
from .state import State

__all__ = ["SourceStatus", "source_statuses"]

OF_THE_MACHINE = frozenset({CPU, MEMORY, DISK})


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """A source that is not over, or failed.

    `units` are unfinished, `bytes` what these keep in memory, `live` their tasks that are not final, `ready` how many
    of these are ready.

    `blockers` say why no unit is asked for now; there are none while one is written out, or once all are there.
    """

    row: SourceRow
    units: int
    bytes: int
    live: int
    ready: int
    blockers: tuple[Blocker, ...]


def source_statuses(state: State) -> tuple[SourceStatus, ...]:
    """Every source that is not over, and those that failed, by run."""
    kept = (s for _, s in sorted(state.sources.items()) if s.ended_at is None or s.state is SourceState.FAILED)
    return tuple(_status(state, source) for source in kept)


def _status(state: State, source: Source) -> SourceStatus:
    return SourceStatus(
        source.row(),
        len(source.units),
        source.bytes,
        source.left,
        sum(node.ready for node in source.nodes),
        tuple(_blockers(state, source)),
    )


def _blockers(state: State, source: Source) -> Iterator[Blocker]:
    if not source.is_open or source.state is SourceState.ASKED:
        return
    if state.paused:
        yield Blocker(BlockerCode.PAUSED, sentence=f"nothing is started: {state.paused}")
    if state.draining:
        yield Blocker(BlockerCode.DRAINING, sentence="the engine is draining and starts nothing more")
    if source.held:
        yield Blocker(BlockerCode.HELD, sentence=f"run {source.run} is held: passloop release @{source.run}")
    if source.state is SourceState.RESTING and source.left:
        sentence = f"it has nothing until one of its {source.left} live tasks ends"
        yield Blocker(BlockerCode.DEPENDENCY, need=1, free=0, sentence=sentence)
    if source.state is SourceState.RESTING and not source.lags:
        return
    if not guard_allows(source):
        yield _guarded(source)
    else:
        yield from _stopped(state, source)


def _guarded(source: Source) -> Blocker:
    """The memory guard, with the number of the bound that is reached."""
    guard, units = source.plan.guard, len(source.units)
    if guard.units is not None and units >= guard.units:
        sentence = f"{units} units are unfinished, and {guard.units} may be at most"
        return Blocker(BlockerCode.MEMORY_GUARD, need=1, free=guard.units - units, sentence=sentence)
    most = guard.bytes or 0
    sentence = f"{units} unfinished units keep {source.bytes} bytes in memory, and {most} may be kept"
    return Blocker(BlockerCode.MEMORY_GUARD, need=1, free=most - source.bytes, sentence=sentence)


def _stopped(state: State, source: Source) -> Iterator[Blocker]:
    """What the walk met: closed pools, devices that cannot be used, and nodes that have enough."""
    found = walk(state, source)
    if found.part is not None:
        return
    for number in found.stops:
        variants = source.nodes[number].shape.variants
        if not has_share(source, source.nodes[number]):
            yield _out_of_share(source, number)
        elif any(is_able(state, variant) for variant in variants):
            yield from _enough(state, source, number)
        else:
            for variant in variants:
                yield from _unable(state, variant)


def _out_of_share(source: Source, number: int) -> Blocker:
    """Memory is half full, and a node has its share of it."""
    node = source.nodes[number]
    whose = node.group or f"node {number}"
    sentence = f"{node.live} tasks of {whose} are live and keep more memory than is free, which is for others"
    return Blocker(BlockerCode.MEMORY_GUARD, need=1, free=0, node=number, sentence=sentence)


def _enough(state: State, source: Source, number: int) -> Iterator[Blocker]:
    """A node with enough ready; of one that is asked for only what could start at once, what stands in the way."""
    node = source.nodes[number]
    ready = sum(other.ready for other in source.nodes if other.kin == node.kin)
    if not source.plan.ahead and not ready:
        rooms = rooms_before(state, source.priority)
        yield from explain_newcomer(state, Newcomer(source.run, node.shape), rooms, state.now)
        return
    some = "1 task is ready" if ready == 1 else f"{ready} tasks are ready"
    sentence = f"{some} for {_scarcest(node.shape.variants[0])}, which is enough for what can start soon"
    yield Blocker(BlockerCode.POOL_BUSY, need=1, free=0, node=number, sentence=sentence)


def _scarcest(variant: ShapeVariant) -> str:
    """What tells these tasks from others in a reader's eyes: GPUs, else the first pool that is not of the machine."""
    if variant.devices is not None:
        return "GPUs"
    named = (pool.name for pool, _ in variant.draws if pool.name not in OF_THE_MACHINE)
    return next(named, "CPUs")


def _unable(state: State, variant: ShapeVariant) -> Iterator[Blocker]:
    for pool, amount in variant.draws:
        gate = pool.gate()
        if gate is not Gate.OPEN and not pool.could_admit(amount):
            yield closed_pool(state, pool, gate)
        elif not pool.could_admit(amount):
            sentence = f"asks {amount} of {pool.name}, there are {pool.capacity}"
            yield Blocker(BlockerCode.CAPACITY, pool.name, amount, pool.capacity, sentence=sentence)
    ask = variant.devices
    if ask is None or state.devices.could_serve(ask):
        return
    unusable = [d for d in state.devices.devices.values() if not d.could_serve(ask) and d.state is not DeviceState.LOST]
    for device in unusable:
        yield unusable_device(device)
    if not unusable:
        wanted = 1 if ask.share else ask.count
        sentence = f"needs {wanted} GPUs, and too few of them are there"
        yield Blocker(BlockerCode.CAPACITY, "gpu", wanted, len(state.devices.devices), sentence=sentence)
