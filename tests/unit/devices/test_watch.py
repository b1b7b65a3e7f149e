"""The low-rate look: only at what it is told, only while it is told, only what became different."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection

import pytest

from passloop.devices.check import DeviceCheck
from passloop.devices.virtual import VirtualInventory
from passloop.devices.watch import DeviceWatch
from passloop.kernel.events import DeviceSeen, DevicesSeen, Foreign
from tests.unit.devices.support import HandTick

A, B = "GPU-virtual-0", "GPU-virtual-1"


class Bench:
    """Two virtual devices and a watch over them, with time under the test's hand."""

    def __init__(self) -> None:
        self.inventory = VirtualInventory([8192, 8192])
        self.ticks = HandTick()
        self.told: list[DevicesSeen] = []
        self.failures: list[BaseException] = []
        self.watch = self.over(DeviceCheck(self.inventory))

    def over(self, check: DeviceCheck) -> DeviceWatch:
        report, failed = self.told.append, self.failures.append
        return DeviceWatch(check, report=report, failed=failed, pause=self.ticks.pause)

    def uuids(self) -> list[list[str]]:
        return [[device.uuid for device in one.devices] for one in self.told]


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_nothing_is_looked_at_until_something_is_named(bench: Bench) -> None:
    bench.watch.watch(())
    assert bench.ticks.asked == []
    bench.watch.watch([A])
    await bench.ticks.tick()
    assert bench.ticks.asked == [5_000, 5_000]
    assert bench.uuids() == [[A]]
    assert not bench.told[0].complete
    await bench.watch.stop()


async def test_only_what_became_different_is_reported(bench: Bench) -> None:
    bench.inventory.put_foreign(A, Foreign(9, vram_mib=100))
    bench.watch.watch([A, B])
    await bench.ticks.tick()
    await bench.ticks.tick()
    assert bench.uuids() == [[A, B]]
    bench.inventory.put_foreign(A)
    await bench.ticks.tick()
    assert bench.uuids() == [[A, B], [A]]
    assert bench.told[-1].devices[0].foreign == ()
    await bench.watch.stop()


async def test_every_change_of_usable_memory_is_reported(bench: Bench) -> None:
    bench.watch.watch([A])
    for used in (100, 101, 101):
        bench.inventory.put_foreign(A, Foreign(9, vram_mib=used))
        await bench.ticks.tick()
    assert [one.devices[0].usable_mib for one in bench.told] == [8092, 8091]
    await bench.watch.stop()


async def test_a_device_that_vanished_is_reported_with_a_fault(bench: Bench) -> None:
    bench.inventory.vanish(A)
    bench.watch.watch([A])
    await bench.ticks.tick()
    assert [(one.uuid, one.fault) for one in bench.told[0].devices] == [(A, "the device is no longer there")]
    await bench.watch.stop()


async def test_a_device_that_is_no_longer_named_is_forgotten(bench: Bench) -> None:
    bench.watch.watch([A, B])
    await bench.ticks.tick()
    bench.watch.watch([B])
    await bench.ticks.tick()
    assert bench.watch.watched == frozenset([B])
    bench.watch.watch([A, B])
    await bench.ticks.tick()
    assert bench.uuids() == [[A, B], [A]]
    await bench.watch.stop()


async def test_naming_none_ends_the_looks(bench: Bench) -> None:
    bench.watch.watch([A])
    await bench.ticks.paused()
    bench.watch.watch(())
    await bench.watch.stop()
    assert bench.told == []
    assert bench.ticks.asked == [5_000]


async def test_a_device_that_is_no_longer_named_when_the_look_ends_is_not_reported(bench: Bench) -> None:
    looking, look_on = threading.Event(), threading.Event()

    class SlowInventory(VirtualInventory):
        def look(self, uuids: Collection[str] | None = None) -> tuple[DeviceSeen, ...]:
            looking.set()
            assert look_on.wait(20)
            return super().look(uuids)

    check = DeviceCheck(SlowInventory([8192, 8192]))
    watch = bench.over(check)
    watch.watch([A, B])
    tick = asyncio.create_task(bench.ticks.tick())
    assert await asyncio.to_thread(looking.wait, 20)
    watch.watch([B])
    look_on.set()
    await tick
    assert bench.uuids() == [[B]]
    await watch.stop()


async def test_an_error_of_a_look_is_told_since_nobody_looks_any_more(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object) -> None:
        raise RuntimeError("no such answer of the driver")

    monkeypatch.setattr(DeviceCheck, "still_free", fail)
    failure: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    check = DeviceCheck(bench.inventory)
    watch = DeviceWatch(check, report=bench.told.append, failed=failure.set_result, pause=bench.ticks.pause)
    watch.watch([A])
    tick = asyncio.create_task(bench.ticks.tick())
    assert str(await asyncio.wait_for(failure, 20)) == "no such answer of the driver"
    tick.cancel()
    await watch.stop()
