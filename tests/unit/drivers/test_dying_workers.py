"""Attempts whose worker ends while something else is found out about them: each is told once, as its records say, and
no sooner than its worker is gone or known to live on.
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from passloop.drivers.base import LiveWorker
from passloop.drivers.workers.endings import Ending, look_at
from passloop.drivers.workers.leftovers import remove_blank
from passloop.drivers.workers.pool import Channel, Order
from passloop.kernel.events import Exited, StrayGone, WorkerGone
from passloop.kernel.ids import AttemptId
from passloop.kernel.tasks import Outcome, OutcomeKind
from tests.support.attempts import Gate, Lifeline, live_of

from .test_workers import WarmStage

DRIVER = "passloop.drivers.workers.driver"
ONE = LiveWorker(AttemptId(1), lying=False, evicted=False)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[WarmStage]:
    async with WarmStage(tmp_path) as stage:
        yield stage


class Gated:
    """A call that waits at a gate, begun."""

    def __init__(self, stage: WarmStage, attempt: int = 1) -> None:
        self.lifeline, self.gate = Lifeline(stage.home / f"there-{attempt}"), Gate(stage.home / f"gate-{attempt}")
        stage.launch(attempt, "await_gate", str(self.lifeline.path), str(self.gate.path))

    async def begun(self) -> None:
        await self.lifeline.until(1)

    def close(self) -> None:
        self.gate.close()
        self.lifeline.close()


async def test_a_call_that_was_done_is_told_as_such_though_its_worker_is_just_being_buried(
    stage: WarmStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine died before it could store the end, and the worker ended before the next one came."""
    await stage.run(1, "nothing")
    burying, buried = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def remove_late(directory: Path) -> None:
        loop.call_soon_threadsafe(burying.set)
        assert buried.wait(20)
        remove_blank(directory)

    monkeypatch.setattr(f"{DRIVER}.remove_blank", remove_late)
    await stage.renew()
    await stage.driver.reattach_workers([ONE])
    await asyncio.wait_for(burying.wait(), 20)
    await stage.driver.reattach([live_of(stage.orders[1])])
    buried.set()
    await stage.gone()
    assert stage.heard.of(1) == ["Exited"]
    ended = stage.heard.find(Exited, 1)
    assert ended is not None
    assert (ended.outcome.kind, ended.parked) == (OutcomeKind.SUCCESS, None)


@pytest.mark.parametrize("state", ["running", "admitted"])
async def test_an_end_during_the_look_at_its_records_is_found_when_its_worker_comes(
    stage: WarmStage, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """The records say that it runs, and it has ended before that is known. A worker speaks between two cells."""
    call = Gated(stage)
    await call.begun()
    await stage.renew()
    driver, loop, there, looks = stage.driver, asyncio.get_running_loop(), asyncio.Event(), []
    hear = driver._hear

    def note(channel: Channel, message: dict[str, Any]) -> None:
        hear(channel, message)
        if "worker" in message:
            there.set()

    async def end() -> None:
        call.gate.open()
        await asyncio.wait_for(there.wait(), 20)

    def look(order: Order) -> Ending:
        looks.append(look_at(order))
        if len(looks) == 1:
            asyncio.run_coroutine_threadsafe(end(), loop).result(20)
            return looks[0]
        return looks[-1]

    monkeypatch.setattr(driver, "_hear", note)
    monkeypatch.setattr(f"{DRIVER}.look_at", look)
    await driver.reattach_workers([ONE])
    await driver.reattach([live_of(stage.orders[1], state=state)])
    ended = await stage.heard.until(Exited, 1)
    assert stage.heard.of(1) == (["Exited"] if state == "running" else ["Started", "Exited"])
    assert (ended.outcome.kind, ended.parked is not None) == (OutcomeKind.SUCCESS, True)
    assert not looks[0].outcome
    call.close()


async def test_what_had_not_begun_on_a_worker_that_ends_is_told_when_that_is_gone(stage: WarmStage) -> None:
    """Its devices would else be free while the worker still holds them."""
    call, driver = Gated(stage), stage.driver
    await call.begun()
    stage.launch(2, "nothing")
    hold = driver._holds[AttemptId(1)]
    shim = driver._processes._watches[1].shim
    assert shim is not None
    signal.pidfd_send_signal(shim.pidfd, signal.SIGSTOP)
    driver.halt(AttemptId(1), 1, grace=0, reason="cancelled")
    await driver._settle(hold, hold.orders[AttemptId(2)])
    assert stage.heard.of(2) == []
    signal.pidfd_send_signal(shim.pidfd, signal.SIGCONT)
    ended = await stage.heard.until(Exited, 2)
    assert (ended.outcome.kind, ended.outcome.engine_lost, ended.parked) == (OutcomeKind.LOST, True, None)
    call.close()


async def test_what_is_left_of_a_worker_is_charged_though_its_attempt_is_taken_up_later(stage: WarmStage) -> None:
    """Found after a restart: the process is told first, its attempt comes next."""
    call = Gated(stage)
    await call.begun()
    await stage.renew()
    driver = stage.driver
    await driver.reattach_workers([ONE])
    lost = Outcome(OutcomeKind.LOST, message="killed")
    driver._hear_processes(Exited(AttemptId(1), 1, lost, stray=True))
    await driver.reattach([live_of(stage.orders[1])])
    assert (await stage.heard.until(Exited, 1)).stray
    stage.launch(2, "nothing")
    assert (await stage.heard.until(Exited, 2)).outcome.message == "its worker had ended"
    assert not any(isinstance(event, WorkerGone) for event in stage.heard.events)
    driver._hear_processes(StrayGone(AttemptId(1), 1))
    await stage.gone()
    assert stage.heard.of(1) == ["Exited", "StrayGone"]
    call.gate.open()
    call.close()


async def test_a_worker_is_gone_once_though_a_slow_look_at_its_records_ends_after_that(
    stage: WarmStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its end and the end of what was left of it are told while its records are still being read for the first."""
    call = Gated(stage)
    await call.begun()
    await stage.renew()
    driver, looks, seen = stage.driver, [], asyncio.Event()

    async def look(order: Order) -> Ending:
        looks.append(order)
        if len(looks) == 1:
            await asyncio.wait_for(seen.wait(), 20)
        return look_at(order)

    monkeypatch.setattr(f"{DRIVER}._looked_at", look)
    await driver.reattach_workers([ONE])
    driver._hear_processes(Exited(AttemptId(1), 1, Outcome(OutcomeKind.LOST, message="killed"), stray=True))
    await driver.reattach([live_of(stage.orders[1])])
    await stage.heard.until(Exited, 1)
    driver._hear_processes(StrayGone(AttemptId(1), 1))
    await stage.gone()
    seen.set()
    await asyncio.gather(*driver._background._tasks)
    assert len(looks) == 2
    assert stage.heard.of(1) == ["Exited", "StrayGone"]
    assert sum(isinstance(event, WorkerGone) for event in stage.heard.events) == 1
    call.gate.open()
    call.close()
