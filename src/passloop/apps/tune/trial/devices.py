"""The GPUs of a trial, looked at: samples while it is measured, and whether they are clean after it. Decides nothing.

Virtual devices have nothing to sample; that is said, and no figure is made up. NVML is opened only for real ones.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passloop.clock import Clock, iso_utc

if TYPE_CHECKING:
    from passloop.devices.base import Inventory, Sample

__all__ = ["DEVICES_FILE", "DeviceWatch", "granted_gpus"]

DEVICES_FILE = "devices.csv"
HEADER = "at,uuid,utilisation_percent,memory_mib,power_w\n"
VIRTUAL = "GPU-virtual-"
PERIOD = 1.0
"""Seconds between two samples."""
SPARE_MIB = 256
"""By how much more memory than before a device may have in use and still be clean: drivers keep a little."""
LOOK = 0.25
"""Seconds between two looks at a device that is not clean yet."""


def granted_gpus(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The UUIDs that the attempt was given."""
    return tuple(filter(None, environment.get("PASSLOOP_GPUS", "").split(",")))


class DeviceWatch:
    """Looks at the devices of one trial. `inventory` and `period` (seconds) are given in tests."""

    def __init__(
        self,
        gpus: tuple[str, ...],
        folder: Path,
        clock: Clock,
        *,
        inventory: Inventory | None = None,
        period: float = PERIOD,
    ) -> None:
        self.gpus = gpus
        self.real = tuple(uuid for uuid in gpus if not uuid.startswith(VIRTUAL)) if inventory is None else gpus
        self._path = folder / DEVICES_FILE
        self._clock = clock
        self._inventory = inventory
        self._period = period
        self._before: dict[str, int] = {}
        self._sampling: asyncio.Task[None] | None = None
        self.peaks: dict[str, int] = {}
        """The most memory (MiB) that was in use of each device, beyond what was before the trial."""
        self.hardware: dict[str, Any] = {}
        """Driver, clocks and names of the real devices."""

    @property
    def silence(self) -> str:
        """Why there are no samples; empty if there are."""
        if not self.gpus:
            return "no GPUs"
        return "" if self.real else "virtual GPUs have nothing to sample"

    async def begin(self) -> None:
        """Remember how much memory is in use before the server starts."""
        if self.real:
            samples = await asyncio.to_thread(self._first_look)
            self._before = {one.uuid: one.memory_mib for one in samples if one.memory_mib is not None}

    def start_sampling(self) -> None:
        """Write a line for each device every second from now on."""
        if self.gpus and self._sampling is None:
            self._path.write_text(HEADER, encoding="utf-8")
            if self.real:
                self._sampling = asyncio.get_running_loop().create_task(self._sample())

    async def stop_sampling(self) -> None:
        """No more lines."""
        if self._sampling is not None:
            self._sampling.cancel()
            await asyncio.wait([self._sampling])
            self._sampling = None

    async def wait_clean(self, limit: int) -> str:
        """Wait until the devices hold no more than before the trial; after `limit` ms, what they still hold."""
        if not self._before:
            return ""
        loop = asyncio.get_running_loop()
        until = loop.time() + limit / 1000
        while True:
            dirty = self._dirty(await asyncio.to_thread(self._samples))
            if not dirty:
                return ""
            if loop.time() >= until:
                return f"after the server had ended, {dirty}"
            await asyncio.sleep(LOOK)

    def close(self) -> None:
        """Let go of NVML."""
        if self._inventory is not None:
            self._inventory.close()

    def _first_look(self) -> tuple[Sample, ...]:
        from passloop.devices.hardware import hardware_facts  # here: most trials have no real device

        self.hardware = hardware_facts(self.real)
        return self._samples()

    def _samples(self) -> tuple[Sample, ...]:
        if self._inventory is None:
            from passloop.devices.opening import open_inventory  # here: most trials have no real device

            self._inventory = open_inventory(os.environ)
        return self._inventory.samples(self.real)

    def _dirty(self, samples: tuple[Sample, ...]) -> str:
        over = [
            f"{one.uuid} still had {one.memory_mib - self._before[one.uuid]} MiB more in use than before"
            for one in samples
            if one.memory_mib is not None and one.memory_mib > self._before.get(one.uuid, one.memory_mib) + SPARE_MIB
        ]
        return "; ".join(over)

    async def _sample(self) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            while True:
                samples = await asyncio.to_thread(self._samples)
                at = iso_utc(self._clock.wall())
                file.writelines(_line(at, one) for one in samples)
                file.flush()
                for one in samples:
                    more = (one.memory_mib or 0) - self._before.get(one.uuid, 0)
                    self.peaks[one.uuid] = max(more, self.peaks.get(one.uuid, 0))
                await asyncio.sleep(self._period)


def _line(at: str | None, sample: Sample) -> str:
    figures = (sample.utilisation, sample.memory_mib, sample.power_w)
    return ",".join([str(at), sample.uuid, *("" if each is None else str(each) for each in figures)]) + "\n"
