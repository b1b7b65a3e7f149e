"""The gate before a start: lock, look once more, go or refuse."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from passloop.devices.check import DeviceCheck
from passloop.devices.gate import StartGate
from passloop.devices.locks import DeviceLocks
from passloop.devices.ownership import Holding
from passloop.devices.virtual import VirtualInventory
from passloop.devices.watch import DeviceWatch
from passloop.kernel.events import DevicesSeen, Foreign, StartRefused
from passloop.kernel.ids import AttemptId, RunId, TaskId
from passloop.kernel.instructions import Start
from passloop.kernel.resources import Allocation, Grant
from tests.unit.devices.support import HandTick

A, B = "GPU-virtual-0", "GPU-virtual-1"


class Bench:
    """Two virtual devices behind a gate; the folder is shared with another home."""

    def __init__(self, folder: Path) -> None:
        self.inventory = VirtualInventory([8192, 8192])
        self.locks = DeviceLocks("aaaa1111", folder)
        self.theirs = DeviceLocks("bbbb2222", folder)
        self.holdings: list[Holding] = []
        self.refusals: list[StartRefused] = []
        self.failures: list[BaseException] = []
        check = DeviceCheck(self.inventory, self.locks)
        self.ticks = HandTick()
        self.told: list[DevicesSeen] = []
        self.watch = DeviceWatch(check, report=self.told.append, failed=self.failures.append, pause=self.ticks.pause)
        self.gate = StartGate(
            check,
            locks=self.locks,
            holdings=lambda: tuple(self.holdings),
            watch=self.watch,
            report=self.refusals.append,
            failed=self.failures.append,
        )

    async def start(self, order: Start) -> str:
        """What became of the start: went or refused."""
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.gate.pass_or_refuse(order, lambda: done.set_result("went"), lambda: done.set_result("refused"))
        return await asyncio.wait_for(done, 20)


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def order(attempt: int, *grants: Grant) -> Start:
    return Start(
        attempt=AttemptId(attempt),
        epoch=1,
        run=RunId(1),
        task=TaskId(attempt),
        driver="processes",
        allocation=Allocation(0, grants),
        time_limit=None,
        grace=0,
    )


def whole(*uuids: str) -> tuple[Grant, ...]:
    return tuple(Grant(uuid, 10_000, 8192) for uuid in uuids)


async def test_only_starts_with_devices_are_guarded(bench: Bench) -> None:
    assert not bench.gate.guards(order(1))
    assert bench.gate.guards(order(1, *whole(A)))


async def test_a_start_on_free_devices_goes_and_is_locked_until_it_ended(bench: Bench) -> None:
    start = order(1, *whole(A, B))
    assert await bench.start(start) == "went"
    assert len(bench.gate.descriptors(start.allocation)) == 2
    assert bench.theirs.take(A) is None
    bench.gate.ended(1)
    assert bench.gate.descriptors(start.allocation) == []
    assert bench.theirs.take(A) is not None
    assert bench.refusals == []


async def test_a_start_on_a_device_in_use_is_refused_and_lets_go(bench: Bench) -> None:
    bench.inventory.put_foreign(B, Foreign(9, "ann", "train"))
    assert await bench.start(order(1, *whole(A, B))) == "refused"
    (refusal,) = bench.refusals
    assert (refusal.attempt, refusal.epoch) == (1, 1)
    assert [(one.uuid, len(one.foreign)) for one in refusal.seen] == [(A, 0), (B, 1)]
    assert "train of ann" in refusal.reason
    assert bench.theirs.take(A) is not None


async def test_a_start_on_a_device_of_another_home_is_refused_and_locks_nothing(bench: Bench) -> None:
    bench.theirs.take(B)
    assert await bench.start(order(1, *whole(A, B))) == "refused"
    assert bench.refusals[0].reason == "another passloop home took the device first"
    assert bench.refusals[0].seen[1].foreign[0].name == "passloop home bbbb2222"
    assert bench.theirs.take(A) is not None


async def test_two_shares_of_a_device_keep_it_until_both_ended(bench: Bench) -> None:
    for attempt in (1, 2):
        assert await bench.start(order(attempt, Grant(A, 5_000, 4096))) == "went"
        bench.holdings.append(Holding(attempt, devices=((A, 4096),)))
    bench.gate.ended(1)
    assert bench.theirs.take(A) is None
    bench.gate.ended(2)
    bench.gate.ended(2)
    assert bench.theirs.take(A) is not None


async def test_a_whole_device_with_as_much_usable_as_was_asked_passes(bench: Bench) -> None:
    asked = replace(order(1, Grant(A, 10_000, 9000)), usable_mib=(8192,))
    assert await bench.start(asked) == "went"
    assert await bench.start(replace(asked, attempt=AttemptId(2), usable_mib=(8193,))) == "refused"


async def test_what_others_of_ours_were_granted_on_a_shared_device_counts(bench: Bench) -> None:
    bench.holdings.extend(Holding(attempt, devices=((A, 4096),)) for attempt in (1, 2))
    assert await bench.start(order(2, Grant(A, 5_000, 4096))) == "went"
    bench.holdings.pop()
    assert await bench.start(order(3, Grant(A, 5_000, 4097))) == "refused"
    assert "8193 MiB were granted" in bench.refusals[0].reason


async def test_after_a_restart_a_live_attempt_is_locked_again(bench: Bench) -> None:
    bench.gate.adopt(7, [A])
    bench.gate.adopt(7, [A])
    assert bench.theirs.take(A) is None
    bench.gate.ended(7)
    assert bench.theirs.take(A) is not None


async def test_without_locks_the_gate_only_looks(tmp_path: Path) -> None:
    inventory = VirtualInventory([8192])
    check = DeviceCheck(inventory)
    refusals: list[StartRefused] = []
    failures: list[BaseException] = []
    watch = DeviceWatch(check, report=lambda _seen: None, failed=failures.append)
    gate = StartGate(check, locks=None, holdings=tuple, watch=watch, report=refusals.append, failed=failures.append)
    start = order(1, *whole(A))
    went = asyncio.Event()
    gate.pass_or_refuse(start, went.set, went.clear)
    await asyncio.wait_for(went.wait(), 20)
    assert (gate.descriptors(start.allocation), failures) == ((), [])
    gate.adopt(1, [A])
    gate.ended(1)


async def test_stopping_waits_for_the_look_under_way_and_ends_the_watch(bench: Bench) -> None:
    bench.gate.watch((A,))
    assert bench.watch.watched == {A}
    went: list[str] = []
    bench.gate.pass_or_refuse(order(1, *whole(A)), lambda: went.append("went"), lambda: None)
    await bench.gate.stop()
    assert went == ["went"]
    assert bench.watch.watched == frozenset()
    await bench.gate.stop()


async def test_what_a_refused_start_has_told_is_what_the_watch_compares_with(bench: Bench) -> None:
    """A device that is watched all along, since some of its memory is another's, was free, is taken, is free again."""
    bench.watch.watch([A])
    await bench.ticks.tick()
    bench.inventory.put_foreign(A, Foreign(9, "ann", "train"))
    assert await bench.start(order(1, *whole(A))) == "refused"
    bench.inventory.put_foreign(A)
    await bench.ticks.tick()
    assert [len(one.devices[0].foreign) for one in bench.told] == [0, 0]
    await bench.gate.stop()
