"""How busy the devices of an attempt were is part of how it ended: read through a stand-in for NVML."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from passloop.clock import FakeClock
from passloop.devices.nvml import NvmlInventory
from passloop.engine.attempts import Attempts
from passloop.engine.device_desk import DeviceDesk
from passloop.kernel.changes import AttemptChanged
from passloop.kernel.events import Exited, WorkerGone
from passloop.kernel.ids import AttemptId, TaskId
from passloop.kernel.resources import Allocation, Grant
from passloop.kernel.tasks import AttemptRow, DeviceUse
from tests.support.fake_nvml.fixtures import fake_library as fake_library
from tests.support.fake_nvml.fixtures import machine as machine
from tests.support.fake_nvml.machine import FakeMachine, gpu
from tests.support.scripted import SUCCESS
from tests.unit.devices.support import HandTick


def _never(error: BaseException) -> None:
    raise error


class Desk:
    """A desk over the stand-in, whose samples are taken when a test says so."""

    def __init__(self) -> None:
        self.ticks = HandTick()
        self.desk = DeviceDesk(NvmlInventory(), None, attempts=Attempts(), clock=FakeClock(0), pause=self.ticks.pause)
        self.desk.connect(lambda _event: None, lambda _batch: None, failed=_never)

    def runs(self, attempt: int, *uuids: str) -> None:
        grants = tuple(Grant(uuid, 10_000, 80_000) for uuid in uuids)
        held = Allocation(0, grants)
        row = AttemptRow(
            AttemptId(attempt), TaskId(attempt), 1, "running", "processes", held, None, False, 0, 0, None, "{}", None, 0
        )  # fmt: skip
        self.desk.follow([AttemptChanged(row)])

    def use(self, attempt: int) -> DeviceUse | None:
        told = self.desk.with_use(Exited(AttemptId(attempt), 1, SUCCESS))
        assert isinstance(told, Exited)
        return told.outcome.devices


@pytest.fixture
async def desk(machine: FakeMachine) -> AsyncIterator[Desk]:
    one = Desk()
    yield one
    await one.desk.stop()


async def test_the_end_of_an_attempt_tells_how_it_used_its_devices(machine: FakeMachine, desk: Desk) -> None:
    desk.runs(1, "GPU-a", "GPU-b")
    desk.runs(2, "GPU-b")
    for busy, used in ((90, 4_000), (30, 9_000)):
        machine.show(gpu("a", 1, f"util={busy}", f"used={used}"), gpu("b", 2, "util=10", "used=1000"))
        desk.desk.inventory.look()  # the stand-in shows another machine at the next look
        await desk.ticks.tick()
    assert desk.use(1) == DeviceUse(mean=35, peak=90, memory_mib=9_000, reads=2)
    assert desk.use(2) == DeviceUse(mean=10, peak=10, memory_mib=1_000, reads=2)


async def test_what_was_never_read_is_not_told(machine: FakeMachine, desk: Desk) -> None:
    desk.runs(1, "GPU-a")
    assert desk.use(1) is None
    assert desk.use(7) is None
    gone = WorkerGone(AttemptId(1))
    assert desk.desk.with_use(gone) is gone
