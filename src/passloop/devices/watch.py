"""Looks again, every 5 s, at devices that somebody waits for and that are vetoed, quarantined or faulty.

It looks only while the machine names such devices (`WatchDevices`), and reports only what became different:
an event is written to the journal, a look is not. Different from what was told last, by whomever: a refused start and
the look after an end tell of devices too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from dataclasses import replace

from passloop.kernel.events import DeviceSeen, DevicesSeen

from .background import Failed, begin
from .check import DeviceCheck
from .sampler import PERIOD_MS, Pause, pause_ms

__all__ = ["DeviceWatch"]


class DeviceWatch:
    """Watches what it is told to. Loop thread only; `report` gets a `DevicesSeen` there. Looks run in a
    thread; `failed` gets the error of one, after which nobody looks any more.
    """

    def __init__(
        self,
        check: DeviceCheck,
        *,
        report: Callable[[DevicesSeen], None],
        failed: Failed,
        period_ms: int = PERIOD_MS,
        pause: Pause = pause_ms,
    ) -> None:
        self._check = check
        self._report = report
        self._failed = failed
        self._period_ms = period_ms
        self._pause = pause
        self._watched: frozenset[str] = frozenset()
        self._told: dict[str, DeviceSeen | None] = {}
        self._watching: asyncio.Task[None] | None = None

    @property
    def watched(self) -> frozenset[str]:
        """The devices that are looked at now."""
        return self._watched

    def watch(self, uuids: Collection[str]) -> None:
        """Look at exactly these from now on; none = stop looking. The first look comes after one period."""
        self._watched = frozenset(uuids)
        self._told = {uuid: seen for uuid, seen in self._told.items() if uuid in self._watched}
        if self._watched and self._watching is None:
            self._watching = begin(self._look_on(), failed=self._failed, name="passloop-device-watch")
        elif not self._watched and self._watching is not None:
            self._watching.cancel()
            self._watching = None

    def overtaken(self, seen: Collection[DeviceSeen]) -> None:
        """Somebody else has told this of devices: what was told here before is not what is known now."""
        self._told.update({device.uuid: _what_matters(device) for device in seen if device.uuid in self._watched})

    async def stop(self) -> None:
        """Stop looking."""
        watching = self._watching
        self.watch(())
        if watching is not None:
            await asyncio.wait([watching])

    async def _look_on(self) -> None:
        while True:
            await self._pause(self._period_ms)
            uuids = self._watched
            self._tell(uuids, await asyncio.to_thread(self._check.still_free, sorted(uuids)))

    def _tell(self, uuids: frozenset[str], seen: tuple[DeviceSeen, ...]) -> None:
        fresh = [
            device
            for device in seen
            if device.uuid in self._watched and self._told.get(device.uuid) != _what_matters(device)
        ]
        if not fresh:
            return
        self._told.update({device.uuid: _what_matters(device) for device in fresh})
        self._report(DevicesSeen(devices=tuple(fresh), complete=False))


def _what_matters(device: DeviceSeen) -> DeviceSeen:
    """The device without the figures that move all the time and change nobody's mind."""
    foreign = tuple(replace(one, vram_mib=0) for one in device.foreign)
    return replace(device, utilisation=0, foreign=foreign)
