"""What must be true of any turn, judged from stored rows and from what was seen, never by asking the machine.

A second opinion: it adds up what open attempts hold, and says who could start beside everything that is held
or reserved. It is deliberately coarse where the kernel is fine (whoever might be waiting for a good reason
is left alone), so that whatever it does report is a bug.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from passloop.kernel.amounts import SHARE_WHOLE, share_of_vram
from passloop.kernel.events import (
    DeviceSeen,
    DevicesSeen,
    DrainChanged,
    Event,
    Exited,
    PauseChanged,
    PoolDeclared,
    PoolKind,
    QuarantineReleased,
    StartRefused,
)
from passloop.kernel.resources import MEMORY, Allocation, DeviceAsk, Variant
from passloop.kernel.tasks import OutcomeKind, TaskRow, TaskState

from .pool_oracle import Pools, known_size
from .rows import Rows

__all__ = ["Oracle"]

CLAIMED = (TaskState.ADMITTED, TaskState.RUNNING, TaskState.STOPPING)


@dataclass
class Held:
    """Amounts held of one device, in 1/10,000 and MiB, and by how many."""

    share: int = 0
    vram: int = 0
    holders: int = 0


@dataclass
class Oracle:
    """What was seen and declared so far, and the laws over it."""

    devices: dict[str, DeviceSeen] = field(default_factory=dict)
    capacities: dict[str, tuple[PoolKind, int]] = field(default_factory=dict)
    doubtful: set[str] = field(default_factory=set)
    parents: dict[str, str] = field(default_factory=dict)
    draining: bool = False
    paused: bool = False

    def learn(self, events: Iterable[Event], rows: Rows) -> None:
        """Take in a batch before the machine handles it."""
        for event in events:
            match event:
                case PoolDeclared():
                    old = self.capacities.get(event.name)
                    self.capacities[event.name] = known_size(old, event.kind, event.capacity)
                    self.parents.pop(event.name, None)
                    if event.parent is not None:
                        self.parents[event.name] = event.parent
                case DevicesSeen():
                    self._see(event)
                case StartRefused():
                    self._see(DevicesSeen(event.seen, complete=False))
                    self._doubt_attempt(event.attempt, rows)
                case Exited():
                    self._exit(event, rows)
                case QuarantineReleased():
                    self.doubtful.discard(event.uuid)
                case DrainChanged():
                    self.draining = event.draining
                case PauseChanged():
                    self.paused = event.paused

    def _see(self, event: DevicesSeen) -> None:
        if event.complete:
            self.devices = {}
        self.devices.update({device.uuid: device for device in event.devices})

    def _doubt_attempt(self, attempt: int, rows: Rows) -> None:
        row = rows.attempts.get(attempt)
        if row is not None:
            self.doubtful.update(grant.uuid for grant in row.allocation.devices)

    def _exit(self, event: Exited, rows: Rows) -> None:
        if event.outcome.kind is OutcomeKind.DEVICE_FAULT or event.stray:
            self._doubt_attempt(event.attempt, rows)

    def check(self, before: Mapping[int, TaskRow], rows: Rows, now: int) -> None:
        """Raise AssertionError if the rows after a turn break a law."""
        self._check_ledger(rows)
        self._check_node(rows)
        self._check_owners(rows)
        pools = Pools(self.capacities, rows, now)
        admitted = [
            row
            for task, row in rows.tasks.items()
            if row.state in CLAIMED and (task not in before or before[task].attempts != row.attempts)
        ]
        fresh = [rows.attempt_of(row.id) for row in admitted]
        pools.check_admitted(fresh, _amount_use(row.allocation for row in rows.open_attempts()))
        for row in admitted:
            self._check_dependencies(row, rows)
            self._check_order(row, before, rows)
        self._check_nobody_is_stranded(rows, pools)

    def _check_ledger(self, rows: Rows) -> None:
        """Invariant 1: no device and no amount is promised twice."""
        open_attempts = [row.allocation for row in rows.open_attempts()]
        for uuid, held in _device_use(open_attempts).items():
            assert held.share <= SHARE_WHOLE, f"{uuid} is over-committed: {held}"
            seen = self.devices.get(uuid)
            assert seen is None or held.vram <= seen.vram_mib, f"{uuid} has not that much VRAM: {held}"
        for allocation in open_attempts:
            for grant in allocation.devices:
                alone = _device_use(open_attempts)[grant.uuid].holders == 1
                assert grant.share < SHARE_WHOLE or alone, f"{grant.uuid} is shared although whole"
        for pool, used in _amount_use(open_attempts).items():
            kind, capacity = self.capacities[pool]
            assert kind is not PoolKind.AMOUNT or used <= capacity, f"{pool} holds {used} of {capacity}"

    def _check_owners(self, rows: Rows) -> None:
        """Never two owners: what was started and what lies, until it is proven gone, fit together on each device."""
        waiting = set(rows.kept_back())
        present = [row.allocation for row in rows.open_attempts() if row.id not in waiting]
        present += [Allocation(0, worker.devices, ((MEMORY, worker.memory),)) for worker in rows.workers()]
        for uuid, held in _device_use(present).items():
            assert held.share <= SHARE_WHOLE, f"{uuid} has two owners: {held}"
        kind, capacity = self.capacities.get(MEMORY, (PoolKind.AMOUNT, 0))
        assert _amount_use(present).get(MEMORY, 0) <= capacity, f"memory has two owners: {kind} of {capacity}"

    @staticmethod
    def _check_node(rows: Rows) -> None:
        """Exclusive: nobody of another run is on the node."""
        runs = {rows.tasks[row.task].run for row in rows.open_attempts()}
        alone = [row.task for row in rows.open_attempts() if row.allocation.exclusive]
        assert not alone or len(runs) == 1, f"task {alone[0]} is not alone: runs {runs} are on the node"

    @staticmethod
    def _check_dependencies(row: TaskRow, rows: Rows) -> None:
        """Invariant 7: no dependent starts before what it asked of its dependencies."""
        for dependency in rows.after[row.id]:
            state = rows.tasks[dependency.task].state
            fine = state is TaskState.SUCCEEDED or (dependency.any_end and rows.is_final(dependency.task))
            assert fine, f"task {row.id} started while {dependency.task} is {state}"

    @staticmethod
    def _check_order(row: TaskRow, before: Mapping[int, TaskRow], rows: Rows) -> None:
        """Invariant 3: among equals the earlier goes first, and the higher priority does."""
        old = before.get(row.id)
        reserved = old is not None and old.reservation is not None
        for other in rows.tasks.values():
            if other.state is not TaskState.READY or not _are_equals(row, other, rows):
                continue
            assert other.priority <= row.priority, f"{row.id} overtook {other.id} of higher priority"
            same = other.priority == row.priority and other.run == row.run and other.rank == row.rank
            earlier = (other.index, other.id) < (row.index, row.id)
            assert reserved or not (same and earlier), f"{row.id} overtook its equal {other.id}"

    def _check_nobody_is_stranded(self, rows: Rows, pools: Pools) -> None:
        """Invariant 2: no ready task fits beside all that is held and what is reserved at its priority or above."""
        live = [rows.tasks[task] for task in rows.live()]
        held = [row.allocation for row in rows.open_attempts()]
        if self.draining or self.paused or any(one.exclusive for one in held):
            return
        for row in live:
            if row.state is TaskState.READY and not _wants_node(rows, row.id):
                before = (o for o in live if o.priority >= row.priority and o.id != row.id)
                kept = [other.reservation.allocation for other in before if other.reservation]
                for variant in rows.specs[row.id].request.variants[row.variant_from :]:
                    assert not self._fits(variant, held, kept, pools), f"task {row.id} fits but waits: {row}"

    def _fits(self, variant: Variant, held: list[Allocation], kept: list[Allocation], pools: Pools) -> bool:
        used, reserved = _amount_use(held), _amount_use(kept)
        for pool, amount in self._lineage(variant.amounts).items():
            if not pools.has(pool, amount, used=used.get(pool, 0), kept=reserved.get(pool, 0)):
                return False
        if any(one.exclusive for one in kept):
            return False
        return variant.devices is None or self._devices_fit(variant.devices, _device_use([*held, *kept]))

    def _lineage(self, amounts: Iterable[tuple[str, int]]) -> dict[str, int]:
        """What an ask draws: on its pools and on their parents."""
        asked: dict[str, int] = {}
        for name, amount in amounts:
            pool: str | None = name
            while pool is not None:
                asked[pool] = asked.get(pool, 0) + amount
                pool = self.parents.get(pool)
        return asked

    def _devices_fit(self, ask: DeviceAsk, used: Mapping[str, Held]) -> bool:
        fitting = [d for d in self._usable() if _device_fits(ask, d, used.get(d.uuid, Held()))]
        return len(fitting) >= max(1, ask.count) and not ask.balance

    def _usable(self) -> Iterator[DeviceSeen]:
        for device in self.devices.values():
            clean = not device.foreign and not device.strays and not device.fault
            if clean and device.uuid not in self.doubtful and device.usable_mib * 10 >= device.vram_mib * 8:
                yield device


def _device_fits(ask: DeviceAsk, device: DeviceSeen, held: Held) -> bool:
    if ask.share:
        vram = share_of_vram(ask.share, device.vram_mib) if ask.vram_mib is None else ask.vram_mib
        return held.share + ask.share <= SHARE_WHOLE and held.vram + vram <= device.usable_mib
    return held.holders == 0 and (ask.vram_mib or 0) <= device.usable_mib


def _device_use(allocations: Iterable[Allocation]) -> dict[str, Held]:
    used: dict[str, Held] = {}
    for allocation in allocations:
        for grant in allocation.devices:
            held = used.setdefault(grant.uuid, Held())
            held.share += grant.share
            held.vram += grant.vram_mib
            held.holders += 1
    return used


def _amount_use(allocations: Iterable[Allocation]) -> dict[str, int]:
    """What is held of each pool; an allocation names the parents of a pool beside it."""
    used: dict[str, int] = {}
    for allocation in allocations:
        for pool, amount in allocation.amounts:
            used[pool] = used.get(pool, 0) + amount
    return used


def _are_equals(row: TaskRow, other: TaskRow, rows: Rows) -> bool:
    return (
        rows.specs[row.id] == rows.specs[other.id]
        and row.group == other.group
        and row.variant_from == other.variant_from
    )


def _wants_node(rows: Rows, task: int) -> bool:
    return any(variant.exclusive for variant in rows.specs[task].request.variants)
