"""An engine without a descriptor left takes nobody for gone: what it cannot watch goes on and is heard all the same."""

from __future__ import annotations

import json
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from passloop.drivers.identity import open_process, own_process
from passloop.drivers.leases import LeaseDriver
from passloop.drivers.workers.driver import WorkerDriver
from passloop.kernel.events import Exited, Started
from passloop.kernel.tasks import OutcomeKind
from tests.support.attempts import Heard, Stage, order_for, waiting_command
from tests.support.warm import call_of, call_order


@contextmanager
def none_left() -> Iterator[None]:
    """Inside, this process can open nothing more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.open("/dev/null", os.O_RDONLY)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_workers_and_commands_have_the_limit_that_they_are_given(tmp_path: Path) -> None:
    async with Stage(tmp_path, open_files=300) as stage:
        await stage.run(["sh", "-c", 'ulimit -Sn > "$PASSLOOP_OUT/limit"'])
        assert (stage.order().directory / "out" / "limit").read_text() == "300\n"
    driver, heard = WorkerDriver(tmp_path, open_files=301), Heard()
    await driver.start(heard)
    order = call_order(tmp_path, 2, call_of("surroundings"))
    driver.launch(order)
    await heard.until(Exited, 2)
    assert json.loads((order.directory / "out" / "result.json").read_text())["open_files"] == 301
    await driver.stop()


def test_a_process_that_cannot_be_opened_is_not_called_gone() -> None:
    own = own_process()
    with none_left(), pytest.raises(OSError, match="Too many open files"):
        open_process(own)


async def test_a_lease_whose_holder_cannot_be_watched_is_lost_and_not_called_done(tmp_path: Path) -> None:
    driver, heard, own = LeaseDriver(), Heard(), own_process()
    await driver.start(heard)
    order = replace(order_for(tmp_path, 1, []), payload={"pid": own.pid, "ticks": own.ticks})
    with none_left():
        driver.launch(order)
    exited = heard.find(Exited, 1)
    assert exited is not None
    assert (exited.outcome.kind, exited.outcome.message) == (
        OutcomeKind.LOST,
        "its holder cannot be watched: Too many open files",
    )
    await driver.stop()


async def test_an_attempt_whose_shim_cannot_be_watched_goes_on_and_can_be_stopped_later(tmp_path: Path) -> None:
    async with Stage(tmp_path) as stage:
        lifeline, gate = stage.lifeline(), stage.gate()
        order = stage.launch(waiting_command(lifeline, gate))
        with none_left():
            await stage.heard.until(Started, 1)
        await lifeline.until(1)
        await stage.run(["true"], 2)
        assert stage.heard.of(1) == ["Started"]
        stage.driver.halt(order.attempt, 1, grace=0, reason="cancelled")
        assert (await stage.ended()).outcome.kind is OutcomeKind.CANCELLED
        assert not lifeline.survivors()
