"""Why a task is not running, as data. One reason engine for command line, API and page.

It calls the predicates of admission (`fitting.py`, `reservations.py`) on the state as it is; it never guesses and
is never stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from .cooldowns import Gate
from .device_pool import Device, DeviceState
from .ends import EndKey, Ends
from .events import PoolKind
from .fitting import Asker, could_ever_fit, fit, lacks_of, may_pass
from .ids import AttemptId
from .misfits import explain_misfit, misfitting_devices, misfitting_draw
from .pools import ScalarPool
from .presence import in_the_way
from .records import ShapeVariant, Task
from .reservations import Room, last_resort, room_for
from .resources import GPU, MEMORY
from .state import State
from .tasks import TaskState

__all__ = ["Blocker", "BlockerCode", "closed_pool", "explain", "explain_newcomer", "unusable_device"]


class BlockerCode(StrEnum):
    """Kinds of reasons."""

    DEPENDENCY = "dependency"
    HELD = "held"
    BACKOFF = "backoff"
    POOL_BUSY = "pool_busy"
    RESERVED = "reserved"
    COOLING = "cooling"
    PROBING = "probing"
    DEAD = "dead"
    LIMIT = "limit"
    RATE = "rate"
    VETOED = "vetoed"
    QUARANTINED = "quarantined"
    EVICTING = "evicting"
    CAPACITY = "capacity"
    MEMORY_GUARD = "memory_guard"
    DRAINING = "draining"
    PAUSED = "paused"


@dataclass(frozen=True, slots=True)
class Blocker:
    """One reason. `need` and `free` in the pool's unit, `holders` task ids, `until` engine ms if known.

    `node` is the one of a source's template that has enough ready.
    """

    code: BlockerCode
    pool: str | None = None
    need: int | None = None
    free: int | None = None
    holders: tuple[int, ...] = ()
    until: int | None = None
    sentence: str = ""
    node: int | None = None


def explain(state: State, task_id: int, now: int) -> tuple[Blocker, ...]:
    """All reasons why a task is not running now; () if it runs, is final or unknown, or starts at the next turn."""
    task = state.tasks.get(task_id)
    if task is None or task.final:
        return ()
    match task.state:
        case TaskState.WAITING:
            return tuple(_dependencies(state, task))
        case TaskState.HELD:
            return (_held(state, task), *_dependencies(state, task))
        case TaskState.BACKOFF:
            return (_backoff(task),)
        case TaskState.READY:
            return tuple(_ready(state, task, now))
        case TaskState.ADMITTED:
            return tuple(_evicting(state, task))
        case _:
            return ()


def _dependencies(state: State, task: Task) -> Iterator[Blocker]:
    for dependency in sorted(task.unmet):
        other = state.tasks.get(dependency)
        where = other.state.value if other is not None else "unknown"
        wants = "ends" if all(d.any_end for d in task.after if d.task == dependency) else "succeeds"
        yield Blocker(
            BlockerCode.DEPENDENCY,
            holders=(dependency,),
            sentence=f"waits until task {dependency} {wants}; that task is {where}",
        )


def _held(state: State, task: Task) -> Blocker:
    keeper = task.group.keeper()
    if keeper is None:
        return Blocker(BlockerCode.HELD, sentence=f"it is held: passloop release {task.id}")
    sentence = f"group {keeper.name} is held: passloop release --group {keeper.name}"
    return Blocker(BlockerCode.HELD, sentence=sentence)


def _backoff(task: Task) -> Blocker:
    why = f" ({task.message})" if task.message else ""
    return Blocker(
        BlockerCode.BACKOFF,
        until=task.not_before,
        sentence=f"waits before attempt {task.attempts + 1}{why}",
    )


def _ready(state: State, task: Task, now: int) -> Iterator[Blocker]:
    if state.paused:
        yield Blocker(BlockerCode.PAUSED, sentence=f"nothing is started: {state.paused}")
    if state.draining:
        yield Blocker(BlockerCode.DRAINING, sentence="the engine is draining and starts nothing more")
    if not could_ever_fit(state, task.shape):
        yield _misfit(state, task, now)
        return
    ends = Ends(state, now)
    rooms = _rooms_before(state, task, ends, now)
    if fit(state, task, rooms, last_resort(rooms), now) is not None:
        yield from _behind(state, task)
        return
    yield from _missing(state, task, rooms, ends, now)


def explain_newcomer(state: State, asker: Asker, rooms: list[Room], now: int) -> tuple[Blocker, ...]:
    """Why a task that is not there yet could not start now, beside what `rooms` keep for those before it."""
    return tuple(_missing(state, asker, rooms, Ends(state, now), now))


def _missing(state: State, asker: Asker, rooms: list[Room], ends: Ends, now: int) -> Iterator[Blocker]:
    """What each variant lacks, or what it meets that is reserved."""
    for variant in asker.shape.variants[asker.variant_from :]:
        mask = lacks_of(state, variant, asker.run, now)
        yield from _scalar_lacks(state, variant, mask, ends, now)
        yield from _device_lacks(state, variant, mask, ends)
        yield from _node_lack(state, variant, mask)
        if not mask:
            yield from _reservations(state, asker, variant, rooms, now)


def _evicting(state: State, task: Task) -> Iterator[Blocker]:
    """Admitted, and its start is kept back until workers that lie in its way are gone."""
    if task.attempt is None or task.attempt.id not in state.workers.kept_back:
        return
    for worker in in_the_way(state, task.attempt):
        pool = GPU if worker.devices else MEMORY
        sentence = (
            f"worker {worker.id} of run {worker.run}, which keeps {worker.warm_key} loaded, is being ended for it"
        )
        yield Blocker(BlockerCode.EVICTING, pool, sentence=sentence)


def _behind(state: State, task: Task) -> Iterator[Blocker]:
    """One that would fit stands behind the first of its kind, which does not: of another run, kept off the node."""
    for lane in state.queue.lanes():
        if lane.head is not None and lane.head[3] != task.id and any(place[3] == task.id for place in lane.places()):
            first = lane.head[3]
            sentence = f"comes after task {first}, which asks for the same and waits"
            yield Blocker(BlockerCode.RESERVED, holders=(first,), sentence=sentence)


def _misfit(state: State, task: Task, now: int) -> Blocker:
    """What can never fit, with the numbers of the first pool in the way."""
    sentence = explain_misfit(state, task.shape)
    draw = misfitting_draw(task.shape)
    if draw is not None:
        pool, amount = draw
        return Blocker(BlockerCode.CAPACITY, pool.name, amount, max(0, pool.free(now)), sentence=sentence)
    ask = misfitting_devices(state, task.shape)
    if ask is None:
        return Blocker(BlockerCode.CAPACITY, sentence=sentence)
    free = sum(device.fits(ask) for device in state.devices.devices.values())
    return Blocker(BlockerCode.CAPACITY, "gpu", 1 if ask.share else ask.count, free, sentence=sentence)


def _rooms_before(state: State, task: Task, ends: Ends, now: int) -> list[Room]:
    """The room that reservations before this task leave."""
    rooms: list[Room] = []
    for other in state.reserved:
        if other is task:
            break
        if other.priority >= task.priority:
            rooms.append(room_for(state, other, rooms, ends, now))
    return rooms


def _scalar_lacks(state: State, variant: ShapeVariant, mask: int, ends: Ends, now: int) -> Iterator[Blocker]:
    for pool, amount in variant.draws:
        if mask >> pool.bit & 1:
            gate = pool.gate()
            if gate is Gate.OPEN or pool.could_admit(amount):
                yield _short(state, pool, amount, ends, now)
            else:
                yield closed_pool(state, pool, gate)


def _short(state: State, pool: ScalarPool, amount: int, ends: Ends, now: int) -> Blocker:
    free = pool.free(now)
    holders = _tasks(state, pool.holders)
    if pool.kind is PoolKind.RATE:
        until = pool.next_refill(amount, now)
        sentence = f"{pool.name} has {max(0, free)} of {pool.capacity} a minute left, {amount} needed"
        return Blocker(BlockerCode.RATE, pool.name, amount, free, (), until, sentence)
    code = BlockerCode.LIMIT if pool.kind is PoolKind.LIMIT else BlockerCode.POOL_BUSY
    until = _known(sorted(ends.of(a) for a in pool.holders)[:1])
    unit = _unit(pool.name)
    sentence = f"needs {_amount(pool.name, amount)}{unit} of {pool.name}, {_amount(pool.name, max(0, free))} free"
    if holders:
        sentence += f"; held by {_named(holders)}"
    return Blocker(code, pool.name, amount, free, holders, until, sentence)


def _amount(pool: str, amount: int) -> str:
    return f"{amount / 1000:g}" if pool == "cpu" else str(amount)


def _unit(pool: str) -> str:
    return {"memory": " MiB", "disk": " MiB"}.get(pool, "")


def closed_pool(state: State, pool: ScalarPool, gate: Gate) -> Blocker:
    """A pool that is not open as the reason."""
    closure = pool.closure
    assert closure is not None
    if gate is Gate.HALF_OPEN:
        probe = () if closure.probe is None else (int(closure.probe),)
        sentence = f"{pool.name} is being probed by task {probe[0]}" if probe else f"{pool.name} is to be probed"
        return Blocker(BlockerCode.PROBING, pool.name, holders=probe, sentence=sentence)
    if gate is Gate.DEAD:
        sentence = f"{pool.name} is dead after {closure.failed_probes} failed probes: passloop pools open {pool.name}"
        return Blocker(BlockerCode.DEAD, pool.name, until=closure.until, sentence=sentence)
    sentence = f"{pool.name} is cooling down after it refused work"
    return Blocker(BlockerCode.COOLING, pool.name, until=closure.until, sentence=sentence)


def _device_lacks(state: State, variant: ShapeVariant, mask: int, ends: Ends) -> Iterator[Blocker]:
    ask = variant.devices
    if ask is None or not mask >> state.devices.bit & 1:
        return
    devices = list(state.devices.devices.values())
    free = [d for d in devices if d.fits(ask)]
    need = 1 if ask.share else ask.count
    held = [d for d in devices if not d.fits(ask) and d.could_serve(ask)]
    holders = _tasks(state, (a for d in held for a in d.holders))
    if holders:
        until = _known(sorted(max(ends.of(a) for a in d.holders) for d in held)[: need - len(free)])
        wants = f"a share of {ask.share / 10_000:g} of a GPU" if ask.share else f"{need} GPU{'s' * (need > 1)}"
        sentence = f"needs {wants}, {len(free)} free; held by {_named(holders)}"
        yield Blocker(BlockerCode.POOL_BUSY, "gpu", need, len(free), holders, until, sentence)
    for device in devices:
        if not device.could_serve(ask) and device.state is not DeviceState.LOST:
            yield unusable_device(device)


def unusable_device(device: Device) -> Blocker:
    """A device that is vetoed or quarantined as the reason."""
    name = f"GPU {device.index} ({device.uuid})"
    if device.state is DeviceState.QUARANTINED:
        why = device.fault or f"a process of ended attempt {device.strays[0]} still holds it"
        sentence = f"{name} is quarantined: {why}; passloop gpus release {device.uuid}"
        return Blocker(BlockerCode.QUARANTINED, "gpu", sentence=sentence)
    who = ", ".join(foreign.who for foreign in device.foreign)
    held = f"is used by {who}, not ours" if who else f"has only {device.usable} MiB that we may use"
    return Blocker(BlockerCode.VETOED, "gpu", free=device.usable, sentence=f"{name} {held}")


def _node_lack(state: State, variant: ShapeVariant, mask: int) -> Iterator[Blocker]:
    if mask >> state.node.bit & 1:
        holders = _tasks(state, state.node.holders if variant.exclusive else state.node.exclusive)
        sentence = f"needs the node without other runs; {_named(holders)} on it"
        if not variant.exclusive:
            sentence = f"the node is kept exclusively by {_named(holders)}"
        yield Blocker(BlockerCode.POOL_BUSY, "node", holders=holders, sentence=sentence)


def _reservations(state: State, asker: Asker, variant: ShapeVariant, rooms: list[Room], now: int) -> Iterator[Blocker]:
    bound = asker.shape.forecast.bound()
    end = None if bound is None else now + bound[0]
    for room in rooms:
        mask = may_pass(state, asker, variant, room, end)
        if mask:
            kept = room.task.reservation
            assert kept is not None
            pools = ", ".join(state.pool_names(mask))
            yield Blocker(
                BlockerCode.RESERVED,
                pools,
                holders=(room.task.id,),
                until=room.shadow_time,
                sentence=f"{pools} reserved for task {room.task.id}, which has waited longer",
            )


def _tasks(state: State, attempts: Iterable[AttemptId]) -> tuple[int, ...]:
    """The tasks that attempts are of, ascending."""
    return tuple(sorted({state.attempts[a].task for a in attempts}))


def _known(keys: list[EndKey]) -> int | None:
    """The time by which all of these have ended, if each has a bound."""
    return max(key[1] for key in keys) if keys and all(key[0] == 0 for key in keys) else None


def _named(tasks: tuple[int, ...]) -> str:
    shown = ", ".join(str(task) for task in tasks[:4])
    more = f" and {len(tasks) - 4} more" if len(tasks) > 4 else ""
    return f"task{'s' * (len(tasks) > 1)} {shown}{more}"
