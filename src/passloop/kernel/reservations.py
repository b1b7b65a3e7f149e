"""Reservations: when a blocked task could start at the latest, and what it leaves to those after it.

The shadow time is EASY backfill's (Lifka 1995; Mu'alem and Feitelson 2001), generalised to named devices and several
pools: the end of the last attempt that must end before the reserved pieces are there. Holders without a bound count
as ending last, oldest first. Nothing here changes any state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .amounts import SHARE_WHOLE
from .cooldowns import Gate
from .device_pool import BALANCE_PERCENT, Device, is_balanced
from .ends import NOBODY, NOW, EndKey, Ends, Leftover
from .events import PoolKind
from .ids import PoolName
from .pools import ScalarPool
from .records import ShapeVariant, Task
from .resources import Allocation, DeviceAsk, Grant
from .state import State
from .tasks import Reservation

__all__ = ["Room", "last_resort", "plan", "room_for"]


@dataclass(slots=True)
class Room:
    """What one reservation leaves to the tasks after it, at its shadow time.

    `shadow` is NOW if only earlier reservations are in the way. `amounts` and `devices` are hard limits for whoever
    still runs then.
    """

    task: Task
    shadow: EndKey
    exclusive: bool
    on_node: bool
    amounts: dict[ScalarPool, Leftover]
    devices: dict[str, tuple[int, int]]

    @property
    def shadow_time(self) -> int | None:
        """Engine ms, or None if some holder in the way has no bound."""
        return self.shadow[1] if self.shadow[0] == 0 else None

    def is_passed_by(self, end: int | None) -> bool:
        """Whether a task that ends by `end` is gone before this reservation needs anything."""
        return end is not None and self.shadow[0] == 0 and end <= self.shadow[1]

    def excludes(self, run: int, *, exclusive: bool) -> bool:
        """Whether a task of `run` on the node would keep this reservation waiting."""
        return self.on_node and run != self.task.run and (self.exclusive or exclusive)

    def take(self, variant: ShapeVariant, grants: Sequence[Grant]) -> None:
        """A task that still runs at the shadow time was admitted: there is less room now."""
        for pool, amount in variant.draws:
            if pool in self.amounts:
                self.amounts[pool].take(amount)
        for grant in grants:
            left = self.devices.get(grant.uuid)
            if left is not None:
                self.devices[grant.uuid] = (left[0] - grant.share, left[1] - grant.vram_mib)


def room_for(state: State, task: Task, earlier: Sequence[Room], ends: Ends, now: int) -> Room:
    """What the task's reservation leaves, beside the reservations before it."""
    reservation = task.reservation
    assert reservation is not None
    allocation, since = reservation.allocation, reservation.since
    variant = task.shape.variants[allocation.variant]
    kept = _kept(earlier)
    shadow = _shadow(state, task, variant, allocation.devices, kept, ends, now)
    amounts: dict[ScalarPool, Leftover] = {}
    for pool, amount in variant.draws:
        if pool.gate() is Gate.OPEN:  # the one place of a half-open pool is for whoever can probe it first
            amounts[pool] = _left_over(pool, amount + kept.get(pool, 0), shadow, ends, now, since)
    devices = {
        grant.uuid: _left_on(state.devices.devices[grant.uuid], grant, shadow, ends, since)
        for grant in allocation.devices
    }
    for room in earlier:
        for held in _grants(room.task):
            left = devices.get(held.uuid)
            if left is not None:
                devices[held.uuid] = (left[0] - held.share, left[1] - held.vram_mib)
    return Room(task, shadow, variant.exclusive, variant.on_node, amounts, devices)


def refill_beside(rooms: Sequence[Room], pool: ScalarPool, amount: int, now: int) -> int | None:
    """When a rate has refilled to an amount and to what these reservations keep of it; None if it has both, or if time
    alone does not bring them."""
    left = (room.amounts[pool] for room in rooms if pool in room.amounts)
    missing = max(amount - pool.free(now), *(leftover.missing(amount) for leftover in left), 0)
    return pool.next_refill(pool.free(now) + missing, now) if missing else None


def plan(
    state: State, task: Task, variants: Sequence[ShapeVariant], earlier: Sequence[Room], ends: Ends, now: int
) -> Reservation | None:
    """A reservation for the variant with the earliest shadow time, then by preference; None if none can be kept."""
    best: tuple[EndKey, int, Allocation] | None = None
    kept = _kept(earlier)
    for variant in variants:
        grants = _first_to_free(state, variant.devices, earlier, ends, ())
        if grants is None:
            continue
        shadow = _shadow(state, task, variant, grants, kept, ends, now)
        if best is None or shadow < best[0]:
            best = (shadow, variant.index, Allocation(variant.index, grants, _amounts(variant), variant.exclusive))
    if best is None:
        return None
    time = best[0][1] if best[0][0] == 0 else None
    order = 1 + max((other.reservation.order for other in state.reserved if other.reservation), default=0)
    return Reservation(order, now, time, best[2])


def renew(state: State, task: Task, earlier: Sequence[Room], ends: Ends) -> Reservation | None:
    """The same reservation with each device that became unusable replaced, and with what its pools draw on by now,
    since their parents may be others; None if that cannot be done. Devices that are to be alike are chosen together.
    """
    reservation = task.reservation
    assert reservation is not None
    variant = task.shape.variants[reservation.allocation.variant]
    amounts = _amounts(variant)
    if amounts != reservation.allocation.amounts:
        old = reservation.allocation
        allocation = Allocation(old.variant, old.devices, amounts, old.exclusive)
        reservation = reservation._replace(allocation=allocation)
    ask = variant.devices
    if ask is None:
        return reservation
    devices = state.devices.devices
    kept = tuple(g for g in reservation.allocation.devices if devices[g.uuid].could_serve(ask))
    alike = ask.balance and ask.count > 1
    is_whole = len(kept) == len(reservation.allocation.devices)
    if is_whole and not (alike and not is_balanced([devices[grant.uuid] for grant in kept])):
        return reservation
    grants = _first_to_free(state, ask, earlier, ends, () if alike else kept)
    if grants is None:
        return None
    old = reservation.allocation
    return reservation._replace(allocation=Allocation(old.variant, grants, old.amounts, old.exclusive))


def _amounts(variant: ShapeVariant) -> tuple[tuple[PoolName, int], ...]:
    return tuple((pool.name, amount) for pool, amount in variant.draws)


def _grants(task: Task) -> tuple[Grant, ...]:
    return () if task.reservation is None else task.reservation.allocation.devices


def _kept(earlier: Sequence[Room]) -> dict[ScalarPool, int]:
    """What the reservations before one keep of each pool."""
    kept: dict[ScalarPool, int] = {}
    for room in earlier:
        assert room.task.reservation is not None
        for pool, amount in room.task.shape.variants[room.task.reservation.allocation.variant].draws:
            kept[pool] = kept.get(pool, 0) + amount
    return kept


def _shadow(
    state: State,
    task: Task,
    variant: ShapeVariant,
    grants: Sequence[Grant],
    kept: Mapping[ScalarPool, int],
    ends: Ends,
    now: int,
) -> EndKey:
    """When all pieces are there: the latest of the devices, the amounts and the node."""
    keys = [NOW]
    keys += [_freed_at(state.devices.devices[grant.uuid], grant, ends) for grant in grants]
    for pool, amount in variant.draws:
        keys.append(_amount_at(pool, amount + kept.get(pool, 0), ends, now))
    if variant.on_node:
        blocking = state.node.in_the_way(task.run, exclusive=variant.exclusive)
        keys += [ends.of(attempt) for attempt in blocking]
    return max(keys)


def _freed_at(device: Device, grant: Grant, ends: Ends) -> EndKey:
    """When `grant` fits on a device if its holders end in order."""
    share, vram = device.free_share, device.free_vram
    if share >= grant.share and vram >= grant.vram_mib:
        return NOW
    for key, attempt in ends.in_order(device.holders):
        held = device.holders[attempt]
        share, vram = share + held.share, vram + held.vram_mib
        if share >= grant.share and vram >= grant.vram_mib:
            return key
    return NOW


def _amount_at(pool: ScalarPool, amount: int, ends: Ends, now: int) -> EndKey:
    """When `amount` is free in a pool: by time alone for a rate, else as its holders end in order."""
    missing = amount - pool.free(now)
    if missing <= 0:
        return NOW
    if pool.kind is PoolKind.RATE:
        refill = pool.next_refill(amount, now)
        return NOW if refill is None else (0, refill, NOBODY)
    for key in ends.of_pool(pool):
        missing -= pool.holders[key[2]]
        if missing <= 0:
            return key
    return NOW


def _left_over(pool: ScalarPool, reserved: int, shadow: EndKey, ends: Ends, now: int, since: int) -> Leftover:
    """What others may still take of a pool so that at the shadow time the reserved amounts are there."""
    comes_back = shadow != NOW and pool.kind is not PoolKind.RATE
    holders = tuple(pool.holders.items()) if comes_back else ()
    return Leftover(pool.free(now) - reserved, holders, shadow, ends, since)


def _left_on(device: Device, grant: Grant, shadow: EndKey, ends: Ends, since: int) -> tuple[int, int]:
    """The (share, VRAM) that others may still take of a reserved device."""
    share, vram = device.free_share, device.free_vram
    for attempt, held in device.holders.items():
        if ends.is_over(attempt, shadow, since):
            share, vram = share + held.share, vram + held.vram_mib
    return share - grant.share, vram - grant.vram_mib


def _first_to_free(
    state: State, ask: DeviceAsk | None, earlier: Sequence[Room], ends: Ends, kept: tuple[Grant, ...]
) -> tuple[Grant, ...] | None:
    """The named devices that free first and that no earlier reservation counts on, beside those kept already."""
    if ask is None:
        return ()
    names = {grant.uuid for grant in kept}
    candidates = []
    for device in state.devices.devices.values():
        if device.uuid in names or not device.could_serve(ask):
            continue
        grant = Grant(device.uuid, ask.share or SHARE_WHOLE, device.vram_for(ask))
        if _claimed(grant, device, earlier):
            continue
        candidates.append((_freed_at(device, grant, ends), -device.score, device.index, grant))
    candidates.sort(key=lambda c: c[:3])
    wanted = (1 if ask.share else ask.count) - len(kept)
    if len(candidates) < wanted:
        return None
    if ask.balance and ask.count > 1:
        return _balanced_first(state, [c[3] for c in candidates], wanted)
    return (*kept, *(c[3] for c in candidates[:wanted]))


def _balanced_first(state: State, grants: list[Grant], count: int) -> tuple[Grant, ...] | None:
    """The set that is free first, as `grants` are in order, of those whose VRAM lies within 80 % of each other's."""
    usable = {grant.uuid: state.devices.devices[grant.uuid].usable for grant in grants}
    sets = []
    for most in sorted(set(usable.values()), reverse=True):
        near = [at for at, g in enumerate(grants) if most * BALANCE_PERCENT <= usable[g.uuid] * 100 <= most * 100]
        if len(near) >= count:
            sets.append(near[:count])
    return tuple(grants[at] for at in min(sets, key=lambda chosen: chosen[-1])) if sets else None


def _claimed(grant: Grant, device: Device, earlier: Sequence[Room]) -> bool:
    """Whether earlier reservations leave too little of a device for this grant."""
    share, vram = SHARE_WHOLE, device.vram
    for room in earlier:
        for other in _grants(room.task):
            if other.uuid == device.uuid:
                share, vram = share - other.share, vram - other.vram_mib
    return share < grant.share or vram < grant.vram_mib


def last_resort(rooms: Sequence[Room]) -> frozenset[str]:
    """Devices that some reservation names: taken only where others do not do."""
    return frozenset([uuid for room in rooms for uuid in room.devices])
