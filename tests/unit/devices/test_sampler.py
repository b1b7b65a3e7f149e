"""The sampler ticks only while a real device is held, and hands its reads on in batches."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import pytest

from passloop.clock import FakeClock
from passloop.devices.base import Sample
from passloop.devices.sampler import AttemptSample, Sampler, pause_ms
from passloop.kernel.events import DeviceSeen
from passloop.kernel.tasks import DeviceUse
from tests.unit.devices.support import HandTick


class Busy:
    """An inventory whose devices are busy by the number of reads so far."""

    absent_reason = ""

    def __init__(self, *, virtual: bool = False) -> None:
        self.virtual = virtual
        self.asked: list[list[str]] = []

    def look(self, uuids: Collection[str] | None = None) -> tuple[DeviceSeen, ...]:
        return ()

    def samples(self, uuids: Sequence[str]) -> tuple[Sample, ...]:
        self.asked.append(list(uuids))
        return tuple(Sample(uuid, len(self.asked), 100, 300) for uuid in uuids if uuid != "GPU-gone")

    def close(self) -> None:
        """Nothing is open."""


class Bench:
    """A sampler with all around it under the test's hand."""

    def __init__(self, *, virtual: bool = False) -> None:
        self.inventory = Busy(virtual=virtual)
        self.clock = FakeClock(1000)
        self.ticks = HandTick()
        self.batches: list[tuple[AttemptSample, ...]] = []
        self.failed: asyncio.Queue[BaseException] = asyncio.Queue()
        self.sampler = Sampler(
            self.inventory,
            clock=self.clock,
            deliver=self.batches.append,
            failed=self.failed.put_nowait,
            pause=self.ticks.pause,
        )

    async def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.clock.advance(5_000)
            await self.ticks.tick()


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_there_is_no_tick_until_a_device_is_held(bench: Bench) -> None:
    assert not bench.sampler.ticking
    bench.sampler.hold(1, ())
    assert not bench.sampler.ticking
    bench.sampler.hold(1, ["GPU-a"])
    assert bench.sampler.ticking
    await bench.ticks.paused()
    assert bench.ticks.asked == [5_000]
    await bench.sampler.stop()


async def test_the_tick_ends_with_the_last_holder(bench: Bench) -> None:
    bench.sampler.hold(1, ["GPU-a"])
    bench.sampler.hold(2, ["GPU-b"])
    bench.sampler.leave(1)
    assert bench.sampler.ticking
    bench.sampler.leave(2)
    bench.sampler.leave(2)
    assert not bench.sampler.ticking


async def test_virtual_devices_are_never_sampled() -> None:
    bench = Bench(virtual=True)
    bench.sampler.hold(1, ["GPU-virtual-0"])
    assert not bench.sampler.ticking


async def test_reads_are_handed_on_six_at_a_time(bench: Bench) -> None:
    bench.sampler.hold(1, ["GPU-a"])
    await bench.tick(5)
    assert bench.batches == []
    await bench.tick()
    (batch,) = bench.batches
    assert [(one.attempt, one.at, one.sample.utilisation) for one in batch] == [
        (1, 1000 + 5_000 * read, read) for read in range(1, 7)
    ]
    await bench.tick(5)
    assert len(bench.batches) == 1
    await bench.sampler.stop()


async def test_what_is_left_is_handed_on_when_the_last_holder_leaves(bench: Bench) -> None:
    bench.sampler.hold(1, ["GPU-a"])
    await bench.tick(2)
    bench.sampler.leave(1)
    assert [len(batch) for batch in bench.batches] == [2]


async def test_each_device_is_read_once_and_counts_for_each_of_its_attempts(bench: Bench) -> None:
    bench.sampler.hold(1, ["GPU-a", "GPU-b"])
    bench.sampler.hold(2, ["GPU-a"])
    await bench.tick()
    await bench.sampler.stop()
    assert bench.inventory.asked == [["GPU-a", "GPU-b"]]
    assert [(one.attempt, one.sample.uuid) for one in bench.batches[0]] == [
        (1, "GPU-a"),
        (1, "GPU-b"),
        (2, "GPU-a"),
    ]


async def test_a_device_that_cannot_be_read_has_no_sample(bench: Bench) -> None:
    bench.sampler.hold(1, ["GPU-a", "GPU-gone"])
    await bench.tick()
    await bench.sampler.stop()
    assert [one.sample.uuid for one in bench.batches[0]] == ["GPU-a"]


async def test_a_new_holder_starts_the_tick_again(bench: Bench) -> None:
    bench.sampler.hold(1, ["GPU-a"])
    await bench.tick()
    bench.sampler.leave(1)
    bench.sampler.hold(2, ["GPU-b"])
    await asyncio.sleep(0)
    await bench.tick()
    await bench.sampler.stop()
    assert [one.attempt for batch in bench.batches for one in batch] == [1, 2]


async def test_a_real_pause_ends() -> None:
    await asyncio.wait_for(pause_ms(1), 20)


async def test_reads_are_summed_up_for_each_attempt_until_it_leaves(bench: Bench) -> None:
    bench.sampler.hold(1, ["GPU-a"])
    assert bench.sampler.use_of(1) is None
    await bench.tick(2)
    bench.sampler.hold(2, ["GPU-gone"])
    await bench.tick()
    assert bench.sampler.use_of(1) == DeviceUse(mean=2, peak=3, memory_mib=100, reads=3)
    assert bench.sampler.use_of(2) is None
    bench.sampler.leave(1)
    assert bench.sampler.use_of(1) is None
    await bench.sampler.stop()


async def test_an_error_that_ends_the_tick_is_heard(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unheard, no attempt would have samples for as long as anybody held a device."""

    def broken(uuids: Sequence[str]) -> tuple[Sample, ...]:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(bench.inventory, "samples", broken)
    bench.sampler.hold(1, ["GPU-a"])
    await bench.ticks.last()
    async with asyncio.timeout(20):
        assert "new thread" in str(await bench.failed.get())
    await bench.sampler.stop()
