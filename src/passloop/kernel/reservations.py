"""Reservations: when a blocked task could start at the latest, and what it leaves to those after it.

The shadow time is EASY backfill's (Lifka 1995; Mu'alem and Feitelson 2001), generalised to named devices and several
pools: the end of the last attempt that must end before the reserved pieces are there. Holders without a bound count
as ending last, oldest first. Nothing here changes any state.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .amounts import SHARE_WHOLE
from .cooldowns import Gate
from .device_pool import Device
from .durations import KILL_MARGIN
from .events import PoolKind
from .pools import ScalarPool
from .records import Attempt, ShapeVariant, Task
from .resources import Allocation, DeviceAsk, Grant
from .state import State
from .tasks import Reservation

__all__ = ["NOW", "EndKey", "Ends", "Room", "end_key", "plan", "room_for"]

EndKey = tuple[int, int, int]
"""When a holder ends: (-1, 0, 0) now; (0, time, attempt) by its bound; (1, admitted at, attempt) without one."""

NOW: EndKey = (-1, 0, 0)

STEP_LEAST = 100
"""The least step, in ms, in which the end of an attempt that has outrun its bound is reckoned anew."""


def end_key(attempt: Attempt, now: int) -> tuple[EndKey, int | None]:
    """When an attempt counts as ending, and when that will change by time alone.

    One that has outrun its bound ends at 1.5 x its elapsed time. That is reckoned in steps of 1 in 32 and a tenth of a
    second, not anew at every look: so it changes only at times for which there is a wake-up, of which there are few
    however short the bound was, and nobody comes to fit unseen.
    """
    bound = attempt.shape.forecast.bound()
    if bound is None:
        return (1, attempt.admitted_at, attempt.id), None
    start = _counted_from(attempt)
    if start + bound[0] > now:
        return (0, start + bound[0], attempt.id), start + bound[0]
    reckoned, following = bound[0], _following(bound[0])
    while start + following <= now:
        reckoned, following = following, _following(following)
    return (0, start + max(reckoned * 3 // 2, following), attempt.id), start + following


def _counted_from(attempt: Attempt) -> int:
    """Since when an attempt's bound counts: its admission, and each whole margin later that it started.

    An enforced bound keeps a margin in hand, so it stays true; and the usual start, which comes some ms after its
    admission, moves no shadow time and needs no pass.
    """
    delay = 0 if attempt.started_at is None else attempt.started_at - attempt.admitted_at
    return attempt.admitted_at + delay // KILL_MARGIN * KILL_MARGIN


def _following(elapsed: int) -> int:
    return elapsed + elapsed // 32 + STEP_LEAST


class Ends:
    """The end keys of all holders, computed once per pass. `changes_at` is when the first of them will change."""

    __slots__ = ("_keys", "_now", "_state", "changes_at")

    def __init__(self, state: State, now: int) -> None:
        self._state = state
        self._now = now
        self._keys: dict[int, EndKey] = {}
        self.changes_at: int | None = None

    def of(self, attempt: int) -> EndKey:
        """The end key of one attempt."""
        key = self._keys.get(attempt)
        if key is None:
            record = self._state.attempts[attempt]  # type: ignore[index]
            key, changes_at = end_key(record, self._now)
            self._keys[attempt] = key
            if changes_at is not None and (self.changes_at is None or changes_at < self.changes_at):
                self.changes_at = changes_at
        return key

    def is_over(self, attempt: int, shadow: EndKey, since: int) -> bool:
        """Whether a holder counts as gone at the shadow time of a reservation that is there since `since`.

        Where nobody knows that time, who was let past the reservation counts as there, whatever its own bound: it was
        to take nothing of what the reservation needs, and the next one would else take the same room again.
        """
        key = self.of(attempt)
        if shadow[0] == 0 or key[0]:
            return key <= shadow
        return self._state.attempts[attempt].admitted_at < since  # type: ignore[index]

    def in_order(self, attempts: Iterable[int]) -> list[tuple[EndKey, int]]:
        """Holders with their end keys, first to end first."""
        return sorted((self.of(attempt), attempt) for attempt in attempts)


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
    amounts: dict[ScalarPool, int]
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
                self.amounts[pool] -= amount
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
    shadow = _shadow(state, task, variant, allocation.devices, earlier, ends, now)
    amounts = {
        pool: _left_over(pool, amount, shadow, ends, now, reserved=_reserved(pool, earlier, state), since=since)
        for pool, amount in variant.draws
        if pool.gate() is Gate.OPEN  # the one place of a half-open pool is for whoever can probe it first
    }
    devices = {
        grant.uuid: _left_on(state.devices.devices[grant.uuid], grant, shadow, ends, since)
        for grant in allocation.devices
    }
    for room in earlier:
        for uuid in devices.keys() & room.devices.keys():
            grants = {g.uuid: g for g in _grants(room.task)}
            held = grants[uuid]
            devices[uuid] = (devices[uuid][0] - held.share, devices[uuid][1] - held.vram_mib)
    return Room(task, shadow, variant.exclusive, variant.on_node, amounts, devices)


def plan(
    state: State, task: Task, variants: Sequence[ShapeVariant], earlier: Sequence[Room], ends: Ends, now: int
) -> Reservation | None:
    """A reservation for the variant with the earliest shadow time, then by preference; None if none can be kept."""
    best: tuple[EndKey, int, Allocation] | None = None
    for variant in variants:
        grants = _first_to_free(state, variant.devices, earlier, ends, ())
        if grants is None:
            continue
        shadow = _shadow(state, task, variant, grants, earlier, ends, now)
        if best is None or shadow < best[0]:
            amounts = tuple((pool.name, amount) for pool, amount in variant.draws)
            best = (shadow, variant.index, Allocation(variant.index, grants, amounts, variant.exclusive))
    if best is None:
        return None
    time = best[0][1] if best[0][0] == 0 else None
    order = 1 + max((other.reservation.order for other in state.reserved if other.reservation), default=0)
    return Reservation(order, now, time, best[2])


def renew(state: State, task: Task, earlier: Sequence[Room], ends: Ends) -> Reservation | None:
    """The same reservation with each device that became unusable replaced; None if that cannot be done."""
    reservation = task.reservation
    assert reservation is not None
    ask = task.shape.variants[reservation.allocation.variant].devices
    if ask is None:
        return reservation
    devices = state.devices.devices
    kept = tuple(g for g in reservation.allocation.devices if devices[g.uuid].could_serve(ask))
    if len(kept) == len(reservation.allocation.devices):
        return reservation
    grants = _first_to_free(state, ask, earlier, ends, kept)
    if grants is None:
        return None
    old = reservation.allocation
    return reservation._replace(allocation=Allocation(old.variant, grants, old.amounts, old.exclusive))


def _grants(task: Task) -> tuple[Grant, ...]:
    return () if task.reservation is None else task.reservation.allocation.devices


def _reserved(pool: ScalarPool, earlier: Sequence[Room], state: State) -> int:
    """What the reservations before this one keep of a pool."""
    total = 0
    for room in earlier:
        assert room.task.reservation is not None
        chosen = room.task.shape.variants[room.task.reservation.allocation.variant]
        total += sum(amount for other, amount in chosen.draws if other is pool)
    return total


def _shadow(
    state: State,
    task: Task,
    variant: ShapeVariant,
    grants: Sequence[Grant],
    earlier: Sequence[Room],
    ends: Ends,
    now: int,
) -> EndKey:
    """When all pieces are there: the latest of the devices, the amounts and the node."""
    keys = [NOW]
    keys += [_freed_at(state.devices.devices[grant.uuid], grant, ends) for grant in grants]
    for pool, amount in variant.draws:
        keys.append(_amount_at(pool, amount + _reserved(pool, earlier, state), ends, now))
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
        held = device.holders[attempt]  # type: ignore[index]
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
        return NOW if refill is None else (0, refill, 0)
    for key, attempt in ends.in_order(pool.holders):
        missing -= pool.holders[attempt]  # type: ignore[index]
        if missing <= 0:
            return key
    return NOW


def _left_over(
    pool: ScalarPool, amount: int, shadow: EndKey, ends: Ends, now: int, *, reserved: int, since: int
) -> int:
    """What others may still take of a pool so that at the shadow time the reserved amounts are there."""
    if pool.kind is PoolKind.RATE:
        return pool.free(now) - reserved - amount
    freed = sum(held for attempt, held in pool.holders.items() if ends.is_over(attempt, shadow, since))
    return pool.free(now) + freed - reserved - amount


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
    if ask.balance and ask.count > 1 and not kept:
        return _balanced_first(state, [c[3] for c in candidates], wanted)
    return (*kept, *(c[3] for c in candidates[:wanted]))


def _balanced_first(state: State, grants: list[Grant], count: int) -> tuple[Grant, ...] | None:
    """The earliest-free set whose VRAM lies within 80 % of each other."""
    devices = state.devices.devices
    for most in sorted({devices[g.uuid].usable for g in grants}, reverse=True):
        near = [g for g in grants if most * 80 <= devices[g.uuid].usable * 100 and devices[g.uuid].usable <= most]
        if len(near) >= count:
            return tuple(near[:count])
    return None


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
    return frozenset(uuid for room in rooms for uuid in room.devices)
