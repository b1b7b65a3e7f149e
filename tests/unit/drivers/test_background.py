"""An error of a driver's own work is heard: the attempt that it was about would else never end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path

import pytest

from passloop.clock import FakeClock
from passloop.drivers.calls.driver import CallDriver
from passloop.drivers.processes.driver import ProcessDriver
from passloop.drivers.workers.driver import WorkerDriver
from passloop.kernel.events import Event, Started
from tests.support.attempts import Heard, order_for
from tests.support.engines import Rig
from tests.support.warm import call_of, call_order


class Failures:
    """Takes the first error."""

    def __init__(self) -> None:
        self.first: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    def take(self, error: BaseException) -> None:
        if not self.first.done():
            self.first.set_result(error)

    async def text(self) -> str:
        return str(await asyncio.wait_for(self.first, 10))


def broken(*_args: object) -> None:
    raise RuntimeError("no such answer")


async def test_records_that_cannot_be_judged_are_heard_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver, heard, failures = ProcessDriver(tmp_path), Heard(), Failures()
    await driver.start(heard, failed=failures.take)
    driver.launch(order_for(tmp_path, 1, ["sleep", "60"]))
    started = await heard.until(Started, 1)
    monkeypatch.setattr("passloop.drivers.processes.driver.look", broken)
    os.kill(json.loads(started.process)["pid"], signal.SIGKILL)
    assert await failures.text() == "no such answer"
    monkeypatch.undo()
    driver._settle_soon(driver._watches[1])
    await heard.another()
    await driver.stop()


async def test_a_workers_end_that_cannot_be_judged_is_heard_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    driver, heard, failures = WorkerDriver(tmp_path), Heard(), Failures()
    await driver.start(heard, failed=failures.take)
    monkeypatch.setattr("passloop.drivers.workers.driver.look_at", broken)
    driver.launch(call_order(tmp_path, 1, call_of("die", int(signal.SIGKILL))))
    assert await failures.text() == "no such answer"
    await driver.stop()


async def test_records_of_a_worker_that_cannot_be_judged_are_heard_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, failures = WorkerDriver(tmp_path), Failures()
    await driver.start(Heard(), failed=failures.take)
    monkeypatch.setattr("passloop.drivers.processes.driver.look", broken)
    driver.launch(call_order(tmp_path, 1, call_of("die", int(signal.SIGKILL))))
    await driver._open_once()
    driver._processes._settle_soon(driver._processes._watches[1])
    assert await failures.text() == "no such answer"
    await driver.stop()


async def test_a_call_whose_end_cannot_be_told_is_heard_of(tmp_path: Path) -> None:
    def tell(_event: Event) -> None:
        broken()

    driver, failures = CallDriver(FakeClock()), Failures()
    await driver.start(tell, failed=failures.take)
    driver.launch(order_for(tmp_path, 1, []))
    assert await failures.text() == "no such answer"
    await driver.stop()


async def test_an_error_of_a_drivers_own_work_ends_the_engine_with_it(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    await one.open().start()
    one.driver.fail(RuntimeError("no such answer"))
    with pytest.raises(RuntimeError, match="no such answer"):
        await asyncio.wait_for(one.engine.ended(), 20)
    await one.kill()
