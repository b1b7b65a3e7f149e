"""Calls of which no record can be made or read for a while, be it for a full disk: each is told once it is known what
became of it, and nobody else's call ends for it.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from passloop.drivers.base import LiveAttempt, LiveWorker
from passloop.drivers.processes import reattach
from passloop.drivers.workers.driver import WorkerDriver
from passloop.drivers.workers.pool import Channel
from passloop.kernel.events import Exited
from passloop.kernel.ids import AttemptId
from passloop.kernel.tasks import OutcomeKind
from tests.support.attempts import live_of

from .test_dying_workers import Gated
from .test_workers import WarmStage

ONE = LiveWorker(AttemptId(1), lying=False, evicted=False)


class Disk:
    """Where no tombstone can be made while there is an `error`."""

    def __init__(self) -> None:
        self.error = 0
        self._bury = reattach._bury

    def bury(self, directory: Path, name: str) -> bool:
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        return self._bury(directory, name)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk = Disk()
    monkeypatch.setattr("passloop.drivers.processes.reattach._bury", disk.bury)
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.02)
    return disk


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[WarmStage]:
    async with WarmStage(tmp_path) as stage:
        yield stage


def behind(stage: WarmStage, attempt: int, state: str) -> LiveAttempt:
    """An attempt of an earlier engine that waited behind the first, as the store holds it."""
    return replace(live_of(stage.orders[attempt], state=state), worker=AttemptId(1))


async def begin_two(stage: WarmStage) -> Gated:
    """A call that waits at a gate, and one behind it."""
    call = Gated(stage)
    await call.begun()
    stage.launch(2, "nothing")
    return call


async def end_well(stage: WarmStage, call: Gated) -> None:
    """Let the first call through: it has lived."""
    call.gate.open()
    assert (await stage.heard.until(Exited, 1)).outcome.kind is OutcomeKind.SUCCESS
    call.close()


@pytest.mark.parametrize("room", [False, True])
async def test_a_call_behind_another_is_given_back_though_an_engine_starts_on_a_full_disk(
    stage: WarmStage, disk: Disk, room: bool
) -> None:
    """With room again it is forbidden. Without, it is known that it never began when its worker greets."""
    call = await begin_two(stage)
    await stage.renew()
    disk.error = errno.ENOSPC
    await stage.driver.reattach_workers([ONE])
    await stage.driver.reattach([live_of(stage.orders[1]), behind(stage, 2, "admitted")])
    assert stage.heard.of(2) == []
    if room:
        disk.error = 0
        await stage.heard.until(Exited, 2)
    await end_well(stage, call)
    outcome = (await stage.heard.until(Exited, 2)).outcome
    assert (outcome.kind, outcome.engine_lost) == (OutcomeKind.LOST, True)
    assert stage.heard.of(2) == ["Exited"]


@pytest.mark.parametrize(
    ("reason", "error", "kind"),
    [
        ("cancelled", errno.ENOSPC, OutcomeKind.CANCELLED),
        ("cancelled", errno.EIO, OutcomeKind.CANCELLED),
        ("cancelled", errno.EMFILE, OutcomeKind.CANCELLED),
        ("recall", errno.ENOSPC, OutcomeKind.LOST),
    ],
)
async def test_who_is_stopped_behind_another_ends_alone_though_no_record_can_be_made(
    stage: WarmStage, disk: Disk, reason: str, error: int, kind: OutcomeKind
) -> None:
    call = await begin_two(stage)
    disk.error = error
    stage.driver.halt(AttemptId(2), 1, grace=0, reason=reason)
    assert stage.heard.of(2) == []
    disk.error = 0
    assert (await stage.heard.until(Exited, 2)).outcome.kind is kind
    await end_well(stage, call)
    assert stage.heard.of(2) == ["Exited"]


async def test_a_stop_behind_another_that_is_given_again_on_a_full_disk_ends_nobody_else(
    stage: WarmStage, disk: Disk
) -> None:
    call = await begin_two(stage)
    await stage.renew()
    disk.error = errno.ENOSPC
    await stage.driver.reattach_workers([ONE])
    await stage.driver.reattach([live_of(stage.orders[1]), behind(stage, 2, "stopping")])
    stage.driver.halt(AttemptId(2), 1, grace=0, reason="cancelled")
    disk.error = 0
    await stage.heard.until(Exited, 2)
    await end_well(stage, call)


@pytest.mark.parametrize("greets_first", [False, True])
@pytest.mark.parametrize(("exit_record", "engine_lost"), [(None, True), ("{", False)])
async def test_a_call_whose_worker_is_done_with_it_is_lost_though_no_end_is_on_record(
    stage: WarmStage, greets_first: bool, exit_record: str | None, engine_lost: bool
) -> None:
    """With a start record alone it was refused for want of room, while no engine was there to hear of it."""
    call = await begin_two(stage)
    await stage.renew()
    directory = stage.orders[2].directory
    directory.mkdir(parents=True)
    (directory / "start.json").write_bytes((stage.orders[1].directory / "start.json").read_bytes())
    if exit_record is not None:
        (directory / "exit.json").write_text(exit_record)
    greeting = greeting_of(stage.driver)
    await stage.driver.reattach_workers([ONE])
    if greets_first:
        call.gate.open()
        await asyncio.wait_for(greeting.wait(), 20)
    await stage.driver.reattach([live_of(stage.orders[1]), behind(stage, 2, "admitted")])
    await end_well(stage, call)
    ended = await stage.heard.until(Exited, 2)
    assert (ended.outcome.kind, ended.outcome.engine_lost) == (OutcomeKind.LOST, engine_lost)
    assert ended.parked is not None


def greeting_of(driver: WorkerDriver) -> asyncio.Event:
    """Set once a worker has greeted."""
    there, hear = asyncio.Event(), driver._hear

    def note(channel: Channel, message: dict[str, Any]) -> None:
        hear(channel, message)
        there.set()

    driver._hear = note  # type: ignore[method-assign]
    return there


async def test_a_call_without_a_record_whose_worker_is_gone_costs_nothing_on_a_full_disk(
    stage: WarmStage, disk: Disk
) -> None:
    await stage.run(1, "nothing")
    order = replace(stage.orders[1], attempt=AttemptId(3), directory=stage.home / "runs" / "3")
    disk.error = errno.ENOSPC
    await stage.driver.reattach([live_of(order, state="admitted")])
    ended = stage.heard.find(Exited, 3)
    assert ended is not None
    assert (ended.outcome.kind, ended.outcome.engine_lost, ended.parked) == (OutcomeKind.LOST, True, None)


async def test_a_call_that_had_begun_when_it_was_called_back_goes_on_under_the_next_engine(stage: WarmStage) -> None:
    call = Gated(stage)
    await call.begun()
    await stage.renew()
    await stage.driver.reattach_workers([ONE])
    await stage.driver.reattach([live_of(stage.orders[1], state="stopping")])
    stage.driver.halt(AttemptId(1), 1, grace=0, reason="recall")
    await end_well(stage, call)


async def test_a_call_that_fails_where_its_log_takes_nothing_is_a_failure_and_its_worker_goes_on(
    stage: WarmStage,
) -> None:
    ended = await stage.run(1, "limit_and_fail")
    assert (ended.outcome.kind, ended.outcome.message) == (OutcomeKind.FAILURE, "ValueError: bad")
    assert ended.parked is not None
