"""Devices and the turn: a second look before each start, a look before each end is told, locks as long as leases."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from passloop.devices.base import Sample
from passloop.devices.check import DeviceCheck
from passloop.devices.locks import DeviceLocks
from passloop.devices.sampler import AttemptSample
from passloop.devices.virtual import VirtualInventory
from passloop.engine.device_desk import holdings_of
from passloop.engine.errors import EngineStopped
from passloop.kernel.changes import AttemptChanged, PoolChanged
from passloop.kernel.device_pool import DeviceState
from passloop.kernel.events import Cancelled, DeviceSeen, Exited, Foreign, Parked, StrayGone, WorkerGone
from passloop.kernel.ids import AttemptId, TaskId
from passloop.kernel.machine import Machine
from passloop.kernel.resources import Grant
from passloop.kernel.tasks import AttemptRow, TaskSpec, TaskState
from passloop.kernel.workers import WORKERS, Worker, Workers
from tests.support.builders import ask, spec_of
from tests.support.engines import Rig, commands
from tests.support.scripted import SUCCESS

FIRST = "GPU-virtual-0"
STRANGER = Foreign(pid=4_242, user="ann", name="train", vram_mib=1_024)


class AsIfReal(VirtualInventory):
    """Virtual devices that are treated as real ones: looked at after each end."""

    virtual = False


def one_gpu() -> TaskSpec:
    return spec_of(ask(gpus=1))


@asynccontextmanager
async def with_gpus(path: Path, inventory: VirtualInventory) -> AsyncIterator[Rig]:
    made = Rig(path, cpus=8)
    await made.open(inventory=inventory).start()
    try:
        yield made
    finally:
        await made.close()


async def states(one: Rig) -> list[str]:
    def look(machine: Machine, _now: int) -> list[str]:
        return [str(device.state) for device in machine.devices()]

    return await one.engine.look(look)


async def test_devices_are_known_when_start_returns(tmp_path: Path) -> None:
    async with with_gpus(tmp_path, VirtualInventory((80_000, 80_000))) as one:
        assert await states(one) == ["available", "available"]


async def test_a_device_taken_since_refuses_the_start_and_the_task_keeps_its_place(tmp_path: Path) -> None:
    inventory = VirtualInventory((80_000,))
    async with with_gpus(tmp_path, inventory) as one:
        inventory.put_foreign(FIRST, STRANGER)
        await one.engine.submit(commands(2, spec=one_gpu()))
        await one.until(lambda: one.store.states_of([1]) == {1: TaskState.READY})
        assert one.outside.live == {}
        assert await states(one) == [DeviceState.VETOED]
        inventory.put_foreign(FIRST)
        await one.until(lambda: one.outside.live)
        assert [order.task for order in one.outside.live.values()] == [1]
        view = await one.engine.read(lambda reader: reader.task(1))
        assert view is not None
        assert view.row.losses == 0


async def test_a_cancel_during_the_second_look_forbids_the_attempt(tmp_path: Path) -> None:
    inventory = VirtualInventory((80_000,))
    async with with_gpus(tmp_path, inventory) as one:
        submitted = asyncio.ensure_future(one.engine.submit(commands(1, spec=one_gpu())))
        cancelled = asyncio.ensure_future(one.engine.send(Cancelled((TaskId(1),))))
        await asyncio.gather(submitted, cancelled)
        assert await one.engine.wait_final([TaskId(1)], timeout_ms=10_000)
        assert one.store.states_of([1]) == {1: TaskState.CANCELLED}
        assert one.outside.live == {}


@pytest.mark.parametrize("when", ["before a start", "after an end"])
async def test_a_look_that_fails_ends_the_engine_with_its_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The attempt would else be under way for ever."""

    def fail(*_args: object, **_words: object) -> None:
        raise RuntimeError("no such answer of the driver")

    one = Rig(tmp_path, cpus=8)
    await one.open(inventory=AsIfReal((80_000,))).start()
    if when == "before a start":
        monkeypatch.setattr(DeviceCheck, "second_look", fail)
    with suppress(EngineStopped):
        await one.engine.submit(commands(1, spec=one_gpu()))
        assert await one.engine.wait_started(TaskId(1), timeout_ms=10_000)
        monkeypatch.setattr(DeviceCheck, "look", fail)
        one.driver.finish_task(1)
    with pytest.raises(RuntimeError, match="no such answer"):
        await asyncio.wait_for(one.engine.ended(), 10)
    await one.kill()


async def test_a_device_is_quarantined_before_the_end_that_would_free_it(tmp_path: Path) -> None:
    inventory = AsIfReal((80_000,))
    async with with_gpus(tmp_path, inventory) as one:
        await one.engine.submit(commands(2, spec=one_gpu()))
        await one.until(lambda: one.store.states_of([1]) == {1: TaskState.RUNNING})
        inventory.put_strays(FIRST, 1)
        one.driver.finish_task(1)
        await one.until(lambda: one.store.states_of([1]) == {1: TaskState.SUCCEEDED})
        assert await states(one) == [DeviceState.QUARANTINED]
        assert one.outside.live == {}
        inventory.put_strays(FIRST)
        await one.until(lambda: one.outside.live)
        assert [order.task for order in one.outside.live.values()] == [2]


async def test_the_look_after_an_end_no_longer_counts_the_attempt_as_live(tmp_path: Path) -> None:
    async with with_gpus(tmp_path, AsIfReal((80_000,))) as one:
        await one.engine.submit(commands(1, spec=one_gpu()))
        await one.until(lambda: one.store.states_of([1]) == {1: TaskState.RUNNING})
        desk = one.engine.desk
        assert desk is not None
        assert [holding.attempt for holding in desk.holdings()] == [1]
        one.outside.end(AttemptId(1))
        one.engine.report(Exited(AttemptId(1), 1, SUCCESS))
        assert desk.holdings() == ()
        await one.engine.wait_final([TaskId(1)])


def parked(*devices: str, serves: int | None = None, kept_back: int | None = None) -> PoolChanged:
    """What the store is given when worker 7 lies on these devices, or serves an attempt; another may wait."""
    workers = Workers()
    worker = Worker(7, "workers", 1, "key", "gpu=1")
    worker.devices = tuple(Grant(uuid, 10_000, 80_000) for uuid in devices)
    worker.process = '{"pid": 99, "ticks": 5}'
    worker.attempts = [] if serves is None else [AttemptId(serves)]
    workers.add(worker)
    if kept_back is not None:
        workers.kept_back[AttemptId(kept_back)] = None
    return PoolChanged(WORKERS, WORKERS, workers.text())


async def test_the_processes_of_a_parked_worker_are_ours_until_its_end_is_told(tmp_path: Path) -> None:
    async with with_gpus(tmp_path, AsIfReal((80_000,))) as one:
        desk = one.engine.desk
        assert desk is not None
        one.engine.attempts.follow([parked(FIRST)])
        (holding,) = desk.holdings()
        assert (holding.attempt, holding.shim, holding.shim_ticks) == (7, 99, 5)
        assert holding.devices == ((FIRST, 80_000),)
        assert desk.takes_over(WorkerGone(AttemptId(7)))
        assert desk.holdings() == ()
        assert not desk.takes_over(Exited(AttemptId(1), 1, SUCCESS, parked=Parked(AttemptId(7))))
        one.engine.attempts.follow([parked()])
        assert not desk.takes_over(WorkerGone(AttemptId(7)))
        one.engine.attempts.follow([nobody := PoolChanged(WORKERS, WORKERS, Workers().text())])
        desk.follow([nobody])
        assert desk._going == set()


async def test_what_the_look_after_an_end_has_told_is_what_the_watch_compares_with(tmp_path: Path) -> None:
    """As a look of the watch's own would be: told once is not told again, but for what was told in between."""
    inventory = AsIfReal((80_000,))
    async with with_gpus(tmp_path, inventory) as one:
        await one.engine.submit(commands(1, spec=one_gpu()))
        await one.until(lambda: one.store.states_of([1]) == {1: TaskState.RUNNING})
        desk = one.engine.desk
        assert desk is not None
        overtaken: list[int] = []
        desk.gate.overtaken = lambda seen: overtaken.extend(len(one.foreign) for one in seen)  # type: ignore[method-assign]
        inventory.put_foreign(FIRST, STRANGER)
        one.driver.finish_task(1)
        await one.engine.wait_final([TaskId(1)])
        assert overtaken == [1]


async def test_an_attempt_on_a_warm_worker_has_the_workers_processes_from_its_admission_on(tmp_path: Path) -> None:
    async with with_gpus(tmp_path, AsIfReal((80_000,))) as one:
        await one.engine.submit(commands(1, spec=one_gpu()))
        await one.until(lambda: one.store.states_of([1]) == {1: TaskState.RUNNING})
        desk = one.engine.desk
        assert desk is not None
        one.engine.attempts.follow([parked(serves=1), AttemptChanged(replaced(one, process="{}"))])
        (holding,) = desk.holdings()
        assert (holding.attempt, holding.named, holding.shim, holding.shim_ticks) == (1, 7, 99, 5)
        assert [uuid for uuid, _ in holding.devices] == [FIRST]


async def test_who_waits_until_a_worker_is_gone_holds_nothing_yet(tmp_path: Path) -> None:
    async with with_gpus(tmp_path, AsIfReal((80_000,))) as one:
        await one.engine.submit(commands(1, spec=one_gpu()))
        await one.until(lambda: one.store.states_of([1]) == {1: TaskState.RUNNING})
        desk = one.engine.desk
        assert desk is not None
        one.engine.attempts.follow([parked(FIRST, kept_back=1)])
        assert [holding.attempt for holding in desk.holdings()] == [7]


def replaced(one: Rig, **fields: object) -> AttemptRow:
    """The row of attempt 1 with other fields."""
    row = one.engine.attempts.get(AttemptId(1))
    assert row is not None
    return row._replace(**fields)  # type: ignore[arg-type]


class Overtaken(AsIfReal):
    """From `begin` on the first look lasts until the second is done."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__(sizes)
        self.looks = -1
        self._second = threading.Event()

    def begin(self) -> None:
        self.looks = 0

    def look(self, uuids: Collection[str] | None = None) -> tuple[DeviceSeen, ...]:
        if self.looks >= 0:
            self.looks += 1
            if self.looks == 1:
                assert self._second.wait(10)
            else:
                self._second.set()
        return super().look(uuids)


async def test_an_end_is_told_before_that_its_stray_is_gone_though_the_second_look_is_faster(tmp_path: Path) -> None:
    inventory = Overtaken((80_000,))
    async with with_gpus(tmp_path, inventory) as one:
        await one.engine.submit(commands(1, spec=one_gpu()))
        await one.until(lambda: one.store.states_of([1]) == {1: TaskState.RUNNING})
        inventory.begin()
        one.outside.end(AttemptId(1))
        one.engine.report(Exited(AttemptId(1), 1, SUCCESS, stray=True))
        one.engine.report(StrayGone(AttemptId(1), 1))
        await one.until(lambda: not len(one.engine.attempts))
        assert await states(one) == [DeviceState.AVAILABLE]


async def test_a_holding_tells_shim_and_devices(tmp_path: Path) -> None:
    async with with_gpus(tmp_path, VirtualInventory((80_000,))) as one:
        await one.engine.submit(commands(1, spec=one_gpu()))
        await one.until(lambda: one.store.states_of([1]) == {1: TaskState.RUNNING})
        (holding,) = holdings_of(one.engine.attempts.rows())
        assert (holding.attempt, holding.shim, holding.devices) == (1, 1, ((FIRST, 80_000),))


async def test_a_device_that_was_gone_at_the_start_is_used_when_it_is_back(tmp_path: Path) -> None:
    inventory = VirtualInventory((80_000,))
    async with with_gpus(tmp_path, inventory) as one:
        await one.engine.submit(commands(2, spec=one_gpu()))
        await one.until(lambda: one.outside.live)
        await one.kill()
        one.outside.end(AttemptId(1))
        inventory.vanish(FIRST)
        await one.open(inventory=inventory).start()
        assert await states(one) == [DeviceState.LOST]
        inventory.bring_back(FIRST)
        await one.until(lambda: one.outside.live)
        assert [order.task for order in one.outside.live.values()] == [2]


async def test_attempts_found_again_hold_their_devices(tmp_path: Path) -> None:
    inventory = VirtualInventory((80_000,))
    one = Rig(tmp_path, cpus=8)
    await one.open(inventory=inventory).start()
    await one.engine.submit(commands(2, spec=one_gpu()))
    await one.until(lambda: one.store.states_of([1]) == {1: TaskState.RUNNING})
    await one.kill()
    await one.open(inventory=inventory).start()
    await one.heard()
    assert one.store.states_of([1, 2]) == {1: TaskState.RUNNING, 2: TaskState.READY}
    await one.close()


async def test_samples_of_a_held_device_are_kept_with_its_attempt(tmp_path: Path) -> None:
    async with with_gpus(tmp_path, AsIfReal((80_000,))) as one:
        sample = AttemptSample(1, one.clock.now(), Sample(FIRST, 40, None, 250))
        one.engine._keep_samples((sample,))
        await one.engine.writer.run(lambda _store: None)
        (kept,) = await one.engine.read(lambda reader: reader.samples(1))
        assert (kept.uuid, kept.utilisation, kept.memory_mib, kept.power_mw) == (FIRST, 40, 0, 250_000)


async def test_samples_that_do_not_fit_on_the_disk_harm_nothing(tmp_path: Path) -> None:
    async with with_gpus(tmp_path, AsIfReal((80_000,))) as one:
        one.store._writer.pragma("max_page_count", 1)
        sample = AttemptSample(1, one.clock.now(), Sample("x" * 100_000, 40, 1, 250))
        one.engine._keep_samples((sample,))
        await one.engine.writer.run(lambda store: store._writer.pragma("max_page_count", 1_000_000))
        assert one.engine.status().state == "running"
        assert await one.engine.read(lambda reader: reader.samples(1)) == []


async def test_a_device_of_another_home_is_not_taken_until_it_is_let_go(tmp_path: Path) -> None:
    folder = tmp_path / "locks"
    folder.mkdir(mode=0o700)
    other = DeviceLocks("0ther", folder)
    assert other.take(FIRST) is not None
    made = Rig(tmp_path, cpus=8)
    await made.open(inventory=VirtualInventory((80_000,)), locks=DeviceLocks("mine", folder)).start()
    try:
        await made.engine.submit(commands(1, spec=one_gpu()))
        await made.until(lambda: made.store.states_of([1]) == {1: TaskState.READY})
        assert await states(made) == [DeviceState.VETOED]
        other.release(FIRST)
        await made.until(lambda: made.outside.live)
        assert other.take(FIRST) is None
        made.driver.finish_task(1)
        await made.engine.wait_final([TaskId(1)])
        assert other.take(FIRST) is not None
    finally:
        await made.close()
        other.close()
