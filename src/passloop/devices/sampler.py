"""Records how busy the devices of running attempts are. It ticks only while a real device is held, else not
at all.

Reads every 5 s, off the loop thread, and hands on several reads at once; what is left is handed on when the
last holder leaves. It keeps nothing itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass

from passloop.clock import Clock
from passloop.kernel.tasks import DeviceUse

from .background import Failed, begin
from .base import Inventory, Sample

__all__ = ["PERIOD_MS", "AttemptSample", "Pause", "Sampler", "pause_ms"]

PERIOD_MS = 5_000
READS_PER_BATCH = 6

Pause = Callable[[int], Awaitable[None]]
"""Waits for so many ms. Given in tests to move time by hand."""


async def pause_ms(millis: int) -> None:
    """Wait for real."""
    await asyncio.sleep(millis / 1000)


@dataclass(frozen=True, slots=True)
class AttemptSample:
    """How busy one device of an attempt was at `at` (engine ms). A shared device counts for each of its
    attempts.
    """

    attempt: int
    at: int
    sample: Sample


class _Tally:
    """What the reads of one attempt come to: sums, so that a long one costs no more than a short one."""

    __slots__ = ("busy", "memory", "peak", "reads", "told")

    def __init__(self) -> None:
        self.reads = self.told = self.busy = self.peak = self.memory = 0

    def add(self, samples: Collection[Sample]) -> None:
        self.reads += bool(samples)
        for sample in samples:
            if sample.utilisation is not None:
                self.told += 1
                self.busy += sample.utilisation
                self.peak = max(self.peak, sample.utilisation)
            self.memory = max(self.memory, sample.memory_mib or 0)

    def use(self) -> DeviceUse:
        return DeviceUse(round(self.busy / max(1, self.told)), self.peak, self.memory, self.reads)


Deliver = Callable[[tuple[AttemptSample, ...]], None]
"""Takes a batch, in the order of time; called on the loop thread."""


class Sampler:
    """Samples for the attempts that `hold` devices. Loop thread only; virtual devices are not sampled.

    `failed` gets the error that ended a tick: what NVML refuses is no error, so it is a fault of ours.
    """

    def __init__(
        self,
        inventory: Inventory,
        *,
        clock: Clock,
        deliver: Deliver,
        failed: Failed,
        period_ms: int = PERIOD_MS,
        pause: Pause = pause_ms,
    ) -> None:
        self._inventory = inventory
        self._clock = clock
        self._deliver = deliver
        self._failed = failed
        self._period_ms = period_ms
        self._pause = pause
        self._holders: dict[int, tuple[str, ...]] = {}
        self._tallies: dict[int, _Tally] = {}
        self._gathered: list[AttemptSample] = []
        self._reads = 0
        self._ticking: asyncio.Task[None] | None = None

    @property
    def ticking(self) -> bool:
        """Whether there is a tick at all."""
        return self._ticking is not None

    def hold(self, attempt: int, uuids: Collection[str]) -> None:
        """The attempt holds these devices from now on. The first holder starts the tick."""
        if self._inventory.virtual or not uuids:
            return
        self._holders[attempt] = tuple(uuids)
        self._tallies.setdefault(attempt, _Tally())
        if self._ticking is None:
            self._ticking = begin(self._tick(), failed=self._failed, name="passloop-sampler")

    def leave(self, attempt: int) -> None:
        """The attempt holds nothing any more. The last one ends the tick; unknown attempts are no error."""
        self._holders.pop(attempt, None)
        self._tallies.pop(attempt, None)
        if not self._holders and self._ticking is not None:
            self._ticking.cancel()
            self._ticking = None
            self._hand_on()

    def use_of(self, attempt: int) -> DeviceUse | None:
        """How the attempt has used its devices so far; None if they were not read while it held them."""
        tally = self._tallies.get(attempt)
        return tally.use() if tally is not None and tally.reads else None

    async def stop(self) -> None:
        """End the tick and hand on what is gathered."""
        ticking = self._ticking
        for attempt in tuple(self._holders):
            self.leave(attempt)
        if ticking is not None:
            await asyncio.wait([ticking])

    async def _tick(self) -> None:
        while True:
            await self._pause(self._period_ms)
            uuids = sorted({uuid for held in self._holders.values() for uuid in held})
            samples = await asyncio.to_thread(self._inventory.samples, uuids)
            self._gather({sample.uuid: sample for sample in samples})

    def _gather(self, samples: dict[str, Sample]) -> None:
        now = self._clock.now()
        for attempt, held in self._holders.items():
            own = [samples[uuid] for uuid in held if uuid in samples]
            self._tallies[attempt].add(own)
            self._gathered.extend(AttemptSample(attempt, now, sample) for sample in own)
        self._reads += 1
        if self._reads >= READS_PER_BATCH:
            self._hand_on()

    def _hand_on(self) -> None:
        batch, self._gathered, self._reads = tuple(self._gathered), [], 0
        if batch:
            self._deliver(batch)
