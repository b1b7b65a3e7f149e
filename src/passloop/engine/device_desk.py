"""Joins the devices to the turn: looks at the start, after each exit on a real device, and before each start.

It owns the order "look, then tell": what was seen of a device is told before the exit that frees it, so that none is
ever free before it was seen to be. It decides nothing; the kernel vetoes, quarantines or grants.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Collection, Coroutine, Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from passloop.clock import Clock
from passloop.devices.background import Failed, begin
from passloop.devices.base import Inventory
from passloop.devices.check import DeviceCheck
from passloop.devices.gate import StartGate
from passloop.devices.locks import DeviceLocks
from passloop.devices.ownership import Holding
from passloop.devices.sampler import PERIOD_MS, AttemptSample, Pause, Sampler, pause_ms
from passloop.devices.watch import DeviceWatch
from passloop.drivers.base import Report
from passloop.kernel.changes import AttemptChanged, Change
from passloop.kernel.events import DeviceSeen, DevicesSeen, Event, Exited, StrayGone, WorkerGone
from passloop.kernel.ids import AttemptId
from passloop.kernel.resources import Allocation, Grant
from passloop.kernel.tasks import AttemptRow
from passloop.kernel.workers import Worker

from .attempts import ENDED, Attempts

__all__ = ["DeviceDesk", "holdings_of"]

Deliver = Callable[[tuple[AttemptSample, ...]], None]


def holdings_of(rows: Iterable[AttemptRow]) -> tuple[Holding, ...]:
    """The live attempts as the device layer wants them; may be called from any thread."""
    return tuple(_holding(row) for row in rows if row.state != "stray")


def _holding(row: AttemptRow) -> Holding:
    return _held(row.id, row.process, row.allocation.devices)


def _served_holding(row: AttemptRow, worker: Worker) -> Holding:
    """What an attempt on a worker holds: its processes are the worker's, and go by that one's name."""
    process = worker.process if row.process == "{}" else row.process
    return _held(row.id, process, row.allocation.devices, named=worker.id if worker.id != row.id else 0)


def _held(attempt: AttemptId, process: str, devices: Sequence[Grant], *, named: int = 0) -> Holding:
    pid, ticks = _shim_in(process)
    return Holding(
        attempt=attempt,
        shim=pid,
        shim_ticks=ticks,
        devices=tuple((grant.uuid, grant.vram_mib) for grant in devices),
        named=named,
    )


@lru_cache(maxsize=4_096)
def _shim_in(process: str) -> tuple[int, int]:
    """Process id and start ticks of a shim, by what its driver told; 0 where it told none."""
    shim: dict[str, Any] = json.loads(process or "{}")
    return int(shim.get("pid", 0)), int(shim.get("ticks", 0))


class DeviceDesk:
    """The engine's way to the devices. `locks` keeps other homes off them; None where nobody else can see them.

    `watch_ms` is how often a device that somebody waits for is looked at; `pause` waits between two samples.
    """

    def __init__(
        self,
        inventory: Inventory,
        locks: DeviceLocks | None,
        *,
        attempts: Attempts,
        clock: Clock,
        watch_ms: int = PERIOD_MS,
        pause: Pause = pause_ms,
    ) -> None:
        self.inventory = inventory
        self._locks = locks
        self._attempts = attempts
        self._clock = clock
        self._watch_ms = watch_ms
        self._pause = pause
        self._check = DeviceCheck(inventory, locks)
        self._ending: dict[AttemptId, asyncio.Task[None]] = {}
        self._going: set[AttemptId] = set()
        self._looks: set[asyncio.Task[None]] = set()

    def connect(self, report: Report, deliver: Deliver, *, failed: Failed) -> None:
        """Say where events and samples go, and errors that are a fault of ours; before `start`."""
        self._report = report
        self._failed = failed
        watch = DeviceWatch(self._check, report=report, failed=failed, period_ms=self._watch_ms)
        self.gate = StartGate(
            self._check, locks=self._locks, holdings=self.holdings, watch=watch, report=report, failed=failed
        )
        self._sampler = Sampler(self.inventory, clock=self._clock, deliver=deliver, failed=failed, pause=self._pause)

    async def start(self) -> None:
        """Lock again what live attempts hold, and report all devices."""
        held = [row for row in self._attempts.rows() if row.allocation.devices]
        await asyncio.to_thread(self._adopt, held)
        for row in held:
            self._sampler.hold(row.id, _uuids(row.allocation))
        self._tell(await asyncio.to_thread(self._check.look), complete=True)

    async def stop(self) -> None:
        """Stop looking. The engine's locks end here; those of shims last as long as their attempts."""
        await self.gate.stop()
        await self._sampler.stop()
        if self._looks:
            await asyncio.wait(self._looks)
        self.inventory.close()
        if self._locks is not None:
            self._locks.close()

    def holdings(self) -> tuple[Holding, ...]:
        """The attempts and workers whose processes are ours by right, without those whose end is being told.

        Who waits until a worker is gone has no process yet, and counts with nobody's memory.
        """
        workers = [worker for worker in self._attempts.workers() if worker.id not in self._going]
        serving = {worker.attempts[0]: worker for worker in workers if worker.attempts}
        absent = self._attempts.kept_back()
        rows = [row for row in self._attempts.rows() if row.id not in self._ending and row.id not in absent]
        served = [_served_holding(row, serving[row.id]) for row in rows if row.id in serving]
        lying = [_held(AttemptId(one.id), one.process, one.devices) for one in workers if one.lying]
        return (*holdings_of(row for row in rows if row.id not in serving), *served, *lying)

    def descriptors(self, allocation: Allocation) -> Sequence[int]:
        """The locks that an attempt's processes must keep open."""
        return self.gate.descriptors(allocation)

    def lock_place(self) -> tuple[str, str] | None:
        """The folder and the home id of this home's locks, for a process that is to hold some itself; None without."""
        return None if self._locks is None else (str(self._locks.folder), self._locks.home_id)

    def with_use(self, event: Event) -> Event:
        """The end of an attempt with how it used its devices, where these were read; any other event as it is."""
        if not isinstance(event, Exited):
            return event
        use = self._sampler.use_of(event.attempt)
        return event if use is None else replace(event, outcome=replace(event.outcome, devices=use))

    def takes_over(self, event: Event) -> bool:
        """Take an end on real devices in hand: it is told after a look. False if there is nothing to look at.

        A worker that is parked lives on, so there is nothing to look at before it is gone.
        """
        if self.inventory.virtual:
            return False
        if isinstance(event, WorkerGone):
            return self._takes_over_worker(event)
        if not isinstance(event, Exited | StrayGone) or (isinstance(event, Exited) and event.parked is not None):
            return False
        row = self._attempts.get(event.attempt)
        if row is None or not row.allocation.devices:
            return False
        before = self._ending.get(event.attempt)
        telling = self._look_then_tell(_uuids(row.allocation), event, before)
        self._ending[event.attempt] = self._begin(telling)
        return True

    def _takes_over_worker(self, event: WorkerGone) -> bool:
        worker = next((one for one in self._attempts.workers() if one.id == event.worker), None)
        if worker is None or not worker.devices:
            return False
        self._going.add(event.worker)
        uuids = tuple(grant.uuid for grant in worker.devices)
        self._begin(self._look_then_tell(uuids, event, None))
        return True

    def follow(self, changes: Iterable[Change]) -> None:
        """Sample attempts that hold devices from now on; let go of the locks of those whose end is committed."""
        for change in changes:
            if not isinstance(change, AttemptChanged) or not change.row.allocation.devices:
                continue
            row = change.row
            if row.state == ENDED:
                self._ending.pop(row.id, None)
                self._sampler.leave(row.id)
                self.gate.ended(row.id)
            elif row.state == "running":
                self._sampler.hold(row.id, _uuids(row.allocation))
        if self._going:
            self._going.intersection_update(worker.id for worker in self._attempts.workers())

    async def _look_then_tell(
        self, uuids: Collection[str], event: Exited | StrayGone | WorkerGone, before: asyncio.Task[None] | None
    ) -> None:
        """Look, then tell, after what was to be told of the attempt before: an end, and then that its stray is gone."""
        seen = await asyncio.to_thread(self._check.look, uuids)
        if before is not None:
            await asyncio.wait([before])
        self._tell(seen, complete=False)
        self._report(event)

    def _begin(self, telling: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        look = begin(telling, failed=self._failed)
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)
        return look

    def _adopt(self, rows: Iterable[AttemptRow]) -> None:
        for row in rows:
            self.gate.adopt(row.id, _uuids(row.allocation))

    def _tell(self, seen: tuple[DeviceSeen, ...], *, complete: bool) -> None:
        self.gate.overtaken(seen)
        self._report(DevicesSeen(devices=seen, complete=complete))


def _uuids(allocation: Allocation) -> tuple[str, ...]:
    return tuple(grant.uuid for grant in allocation.devices)
