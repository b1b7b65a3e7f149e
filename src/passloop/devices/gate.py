"""Stands between the machine's decision and a start on devices: locks them for this home, then looks once
more.

A start that may not go on is refused with what was seen; the kernel decides what follows. Nothing is ended
here. Looks and locks run off the loop thread; everything else, and each callback, on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence

from passloop.kernel.events import DeviceSeen, StartRefused
from passloop.kernel.instructions import Start
from passloop.kernel.resources import Allocation, Grant

from .background import Failed, begin
from .check import DeviceCheck, SecondLook
from .locks import DeviceLocks
from .ownership import Holdings
from .watch import DeviceWatch

__all__ = ["StartGate"]

ELSEWHERE = "another passloop home took the device first"


class StartGate:
    """Lets starts pass or refuses them. `holdings` are the live attempts, this start's among them or not.

    `failed` gets the error of a start that can neither pass nor be refused.
    """

    def __init__(
        self,
        check: DeviceCheck,
        *,
        locks: DeviceLocks | None,
        holdings: Holdings,
        watch: DeviceWatch,
        report: Callable[[StartRefused], None],
        failed: Failed,
    ) -> None:
        self._check = check
        self._locks = locks
        self._holdings = holdings
        self._watch = watch
        self._report = report
        self._failed = failed
        self._locked: dict[int, tuple[str, ...]] = {}
        self._passing: set[asyncio.Task[None]] = set()

    def guards(self, order: Start) -> bool:
        """Whether the order's devices must be looked at once more: whenever it has any."""
        return bool(order.allocation.devices)

    def pass_or_refuse(self, order: Start, go: Callable[[], None], refused: Callable[[], None]) -> None:
        """Lock and look, then call `go`; or let go again, report `StartRefused`, and call `refused`."""
        task = begin(self._pass(order, go, refused), failed=self._failed)
        self._passing.add(task)
        task.add_done_callback(self._passing.discard)

    def watch(self, uuids: tuple[str, ...]) -> None:
        """Look at these devices at a low rate from now on, at no others."""
        self._watch.watch(uuids)

    def overtaken(self, seen: Collection[DeviceSeen]) -> None:
        """Another look than the watch's is being told."""
        self._watch.overtaken(seen)

    def descriptors(self, allocation: Allocation) -> Sequence[int]:
        """The locks that the attempt's processes must keep open; empty for virtual devices."""
        if self._locks is None:
            return ()
        held = [self._locks.descriptor(grant.uuid) for grant in allocation.devices]
        return [descriptor for descriptor in held if descriptor is not None]

    def adopt(self, attempt: int, uuids: Collection[str]) -> None:
        """After a restart: lock again what a live attempt holds. Its shim's lock kept other homes away
        meanwhile.
        """
        if self._locks is not None and attempt not in self._locked:
            self._locked[attempt] = tuple(uuid for uuid in uuids if self._locks.take(uuid) is not None)

    def ended(self, attempt: int) -> None:
        """The attempt and all that was left of it are gone: its locks are let go. Unknown attempts are no
        error.
        """
        for uuid in self._locked.pop(attempt, ()):
            assert self._locks is not None
            self._locks.release(uuid)

    async def stop(self) -> None:
        """Stop watching and wait for starts that are being looked at."""
        await self._watch.stop()
        if self._passing:
            await asyncio.wait(self._passing)

    async def _pass(self, order: Start, go: Callable[[], None], refused: Callable[[], None]) -> None:
        look = await asyncio.to_thread(self._lock_and_look, order)
        if not look.reason:
            go()
            return
        self.overtaken(look.seen)
        self._report(StartRefused(order.attempt, order.epoch, look.seen, look.reason))
        refused()

    def _lock_and_look(self, order: Start) -> SecondLook:
        attempt, grants = order.attempt, order.allocation.devices
        if not self._lock(attempt, grants):
            seen = self._check.still_free([grant.uuid for grant in grants])
            return SecondLook(seen, ELSEWHERE)
        look = self._check.second_look(_least(order), beside_mib=self._beside_mib(attempt, grants))
        if look.reason:
            self.ended(attempt)
        return look

    def _lock(self, attempt: int, grants: Sequence[Grant]) -> bool:
        """Lock all or none."""
        if self._locks is None:
            return True
        taken: list[str] = []
        for grant in grants:
            if self._locks.take(grant.uuid) is None:
                for uuid in taken:
                    self._locks.release(uuid)
                return False
            taken.append(grant.uuid)
        self._locked[attempt] = tuple(taken)
        return True

    def _beside_mib(self, attempt: int, grants: Sequence[Grant]) -> int:
        """VRAM in MiB granted to others of ours on the device, where it is shared (a share lies on one
        device).
        """
        if len(grants) != 1:
            return 0
        return sum(
            mib
            for holding in self._holdings()
            if holding.attempt != attempt
            for uuid, mib in holding.devices
            if uuid == grants[0].uuid
        )


def _least(order: Start) -> Sequence[Grant]:
    """The grants with what must be usable of each device, where that is less than was granted."""
    grants = order.allocation.devices
    if not order.usable_mib:
        return grants
    return [Grant(one.uuid, one.share, mib) for one, mib in zip(grants, order.usable_mib, strict=True)]
