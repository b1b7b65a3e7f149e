"""Warm workers with real processes: what they keep, what a call sees and leaves, how they end."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from passloop.drivers.base import Fail, LiveWorker, Report
from passloop.drivers.identity import open_process, process_from_json, ticks_of
from passloop.drivers.processes.driver import ProcessDriver
from passloop.drivers.workers.driver import WorkerDriver
from passloop.drivers.workers.endings import Ending
from passloop.drivers.workers.pool import Order
from passloop.kernel.events import Exited, PauseChanged, Started, WorkerGone, WorkerGrew
from passloop.kernel.ids import CPU, AttemptId
from passloop.kernel.resources import Allocation, Grant
from passloop.kernel.tasks import OutcomeKind
from tests.support.attempts import Gate, Heard, Lifeline, live_of
from tests.support.warm import ROOT, call_of, call_order


class WarmStage:
    """A driver of warm workers; attempt 1 starts a worker, later ones run on it unless they are to have their own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.driver = WorkerDriver(home)
        self.heard = Heard()
        self.orders: dict[int, Any] = {}

    async def __aenter__(self) -> WarmStage:
        await self.driver.start(self.heard)
        return self

    async def __aexit__(self, *_: object) -> None:
        for attempt, order in self.orders.items():
            if self.heard.find(Exited, attempt) is None:
                self.driver.halt(order.attempt, 1, grace=0, reason="cancelled")
        await self.driver.stop()

    def launch(self, attempt: int, function: str, *args: Any, own: bool = False, **fields: Any) -> None:
        payload = fields.pop("payload", {})
        call = call_of(function, *args) | fields.pop("call", {})
        worker = None if own or attempt == 1 else AttemptId(1)
        order = call_order(self.home, attempt, call, worker=worker, payload=payload, **{"grace": 300} | fields)
        self.orders[attempt] = order
        self.driver.launch(order)

    async def run(self, attempt: int, function: str, *args: Any, **fields: Any) -> Exited:
        self.launch(attempt, function, *args, **fields)
        return await self.heard.until(Exited, attempt)

    def result(self, attempt: int) -> Any:
        return json.loads((self.orders[attempt].directory / "out" / "result.json").read_text())

    def log(self, attempt: int, name: str = "stderr") -> str:
        return str((self.orders[attempt].directory / f"{name}.log").read_text())

    async def gone(self, worker: int = 1) -> None:
        """Wait until the worker is said to be gone."""
        while not any(isinstance(event, WorkerGone) and event.worker == worker for event in self.heard.events):
            await self.heard.another()

    async def renew(self) -> None:
        """The engine is gone, another one takes over."""
        await self.driver.stop()
        self.driver, self.heard = WorkerDriver(self.home), Heard()
        await self.driver.start(self.heard)


def is_there(pid: int) -> bool:
    """Whether there is a process with this id."""
    return ticks_of(pid) is not None


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[WarmStage]:
    async with WarmStage(tmp_path) as stage:
        yield stage


async def test_what_a_call_keeps_is_there_for_the_next(stage: WarmStage) -> None:
    first, second = await stage.run(1, "count"), await stage.run(2, "count")
    assert first.parked is not None
    assert first.parked.worker == 1
    assert second.parked == first.parked
    results = [stage.result(1), stage.result(2)]
    assert [one["calls"] for one in results] == [one["number"] for one in results] == [1, 2]
    assert results[0]["pid"] == results[1]["pid"]
    assert json.loads((stage.orders[2].directory / "out" / "metrics.json").read_text()) == results[1]


async def test_a_call_sees_its_task_and_no_more_than_it_was_granted(stage: WarmStage) -> None:
    granted = Allocation(0, (Grant("GPU-7", 10_000, 1024),), ((CPU, 1_500),))
    await stage.run(1, "surroundings", allocation=granted, payload={"env": {"OWN": "x"}, "index": 3})
    await stage.run(2, "surroundings", allocation=Allocation(0), payload={"env": {}})
    first, second = stage.result(1), stage.result(2)
    assert (first["OMP_NUM_THREADS"], first["MKL_NUM_THREADS"]) == ("2", "2")
    assert first["CUDA_VISIBLE_DEVICES"] == second["CUDA_VISIBLE_DEVICES"] == "GPU-7"
    assert (first["OWN"], first["PASSLOOP_INDEX"]) == ("x", "3")
    assert (second["OWN"], second["PASSLOOP_INDEX"]) == (None, None)
    assert [one["task"] for one in (first, second)] == [1, 2]
    assert [one["key"] for one in (first, second)] == [stage.orders[n].idempotency_key for n in (1, 2)]
    assert first["warm_key"] == "key"
    assert all(one["same"] and one["out"] and one["cwd"] == str(ROOT) for one in (first, second))


async def test_what_each_call_writes_is_in_its_own_files(stage: WarmStage) -> None:
    await stage.run(1, "write")
    await stage.run(2, "nothing")
    assert sorted(stage.log(1, "stdout").splitlines()) == ["from a child", "from python"]
    assert stage.log(1) == "from below\n"
    assert (stage.log(2, "stdout"), stage.log(2)) == ("", "")


async def test_an_exception_is_a_failure_with_its_last_line_and_the_worker_goes_on(stage: WarmStage) -> None:
    ended = await stage.run(1, "fail", "value", "bad \u2713")
    assert (ended.outcome.kind, ended.outcome.exit_code) == (OutcomeKind.FAILURE, 1)
    assert ended.outcome.message == "ValueError: bad \u2713"
    assert stage.log(1).startswith("Traceback")
    assert "tests/support/warm.py" in stage.log(1)
    assert "drivers/workers" not in stage.log(1)
    assert (await stage.run(2, "nothing")).outcome.kind is OutcomeKind.SUCCESS


@pytest.mark.parametrize(
    ("words", "kind", "final", "lives"),
    [
        (("memory",), OutcomeKind.OUT_OF_MEMORY, False, False),
        (("ours", "no room"), OutcomeKind.OUT_OF_MEMORY, False, False),
        (("device", "Xid 79"), OutcomeKind.DEVICE_FAULT, False, False),
        (("refused", "no such set"), OutcomeKind.FAILURE, True, True),
    ],
)
async def test_a_call_says_by_its_exception_what_went_wrong(
    stage: WarmStage, words: tuple[str, ...], kind: OutcomeKind, final: bool, lives: bool
) -> None:
    granted = Allocation(0, (Grant("GPU-7", 10_000, 1024),))
    ended = await stage.run(1, "fail", *words, allocation=granted)
    assert (ended.outcome.kind, ended.outcome.final, ended.parked is not None) == (kind, final, lives)
    assert ended.outcome.device == ("GPU-7" if kind is OutcomeKind.DEVICE_FAULT else None)


async def test_what_json_cannot_say_is_a_failure_that_tells_the_fix(stage: WarmStage) -> None:
    ended = await stage.run(1, "opaque")
    assert (ended.outcome.kind, ended.outcome.exit_code) == (OutcomeKind.FAILURE, 1)
    assert "how to fix" in stage.log(1)
    await stage.run(2, "later", 5)
    assert stage.result(2) == 5


async def test_a_worker_that_dies_loses_its_call_and_what_waits_is_lost_at_no_cost(stage: WarmStage) -> None:
    stage.launch(1, "die", int(signal.SIGSEGV))
    stage.launch(2, "nothing")
    lost, waiting = await stage.heard.until(Exited, 1), await stage.heard.until(Exited, 2)
    assert (lost.outcome.kind, lost.outcome.engine_lost, lost.parked) == (OutcomeKind.LOST, False, None)
    assert lost.outcome.message == "its worker died: killed by signal 11 (SIGSEGV)"
    assert (waiting.outcome.kind, waiting.outcome.engine_lost) == (OutcomeKind.LOST, True)


async def test_a_call_that_hangs_in_c_is_ended_at_its_limit_by_the_kernel(stage: WarmStage) -> None:
    ended = await stage.run(1, "hang_in_c", 60, time_limit=100, grace=100)
    assert (ended.outcome.kind, ended.parked) == (OutcomeKind.TIMEOUT, None)


async def test_a_spoilt_worker_is_not_used_again_and_says_why(stage: WarmStage) -> None:
    ended = await stage.run(1, "mutate")
    assert (ended.outcome.kind, ended.parked) == (OutcomeKind.SUCCESS, None)
    assert ended.outcome.message == "its worker is not used again: the embeddings were resized"


async def test_a_worker_is_renewed_when_it_has_grown_and_says_so(stage: WarmStage) -> None:
    await stage.run(1, "grow", 1, call={"growth_mib": 30})
    ended = await stage.run(2, "grow", 60, call={"growth_mib": 30})
    assert (ended.outcome.kind, ended.parked) == (OutcomeKind.SUCCESS, None)
    assert "a leak?" in ended.outcome.message
    grown = ended.outcome.growth
    assert grown is not None
    assert (grown.cells, grown.mib >= 60) == (2, True)
    told = [event for event in stage.heard.events if isinstance(event, WorkerGrew)]
    assert told == [WorkerGrew(AttemptId(1), AttemptId(2), 1, grown.mib, 2)]
    assert stage.heard.events.index(told[0]) < stage.heard.events.index(ended)


async def test_what_a_call_took_to_load_is_told_with_its_end(stage: WarmStage) -> None:
    assert (await stage.run(1, "load", 250, 50)).outcome.loading == 300
    assert (await stage.run(2, "nothing")).outcome.loading is None


async def test_a_worker_ends_after_as_many_calls_as_said(stage: WarmStage) -> None:
    assert (await stage.run(1, "nothing", call={"cells": 2})).parked is not None
    assert (await stage.run(2, "nothing", call={"cells": 2})).parked is None


async def test_a_call_that_leaves_a_thread_behind_ends_though_its_worker_waits_for_that(stage: WarmStage) -> None:
    """Python joins such threads at its exit: the end of the last call would never be told."""
    ended = await stage.run(1, "leave_a_thread", call={"cells": 1})
    assert (ended.outcome.kind, ended.parked) == (OutcomeKind.SUCCESS, None)
    await stage.gone()


async def test_an_evicted_worker_is_gone_when_it_is_said_to_be(stage: WarmStage) -> None:
    await stage.run(1, "nothing")
    started = stage.heard.find(Started, 1)
    assert started is not None
    shim = process_from_json(started.process)
    pid = json.loads((stage.orders[1].directory / "start.json").read_text())["worker_pid"]
    stage.driver.evict(AttemptId(1))
    await stage.gone()
    assert not is_there(pid)
    held = open_process(shim)
    if held is not None:
        os.close(held)  # it rests, and stands over nothing
    ended = await stage.run(2, "nothing")
    assert (ended.outcome.kind, ended.outcome.engine_lost, ended.parked) == (OutcomeKind.LOST, True, None)


async def test_a_call_that_has_not_begun_is_forbidden_and_its_worker_lives(stage: WarmStage, tmp_path: Path) -> None:
    lifeline, gate = Lifeline(tmp_path / "there"), Gate(tmp_path / "gate")
    stage.launch(1, "await_gate", str(lifeline.path), str(gate.path))
    await lifeline.until(1)
    stage.launch(2, "nothing")
    stage.launch(3, "nothing")
    stage.driver.halt(AttemptId(2), 1, grace=0, reason="recall")
    recalled = await stage.heard.until(Exited, 2)
    assert (recalled.outcome.engine_lost, recalled.parked is not None) == (True, True)
    gate.open()
    assert (await stage.heard.until(Exited, 3)).outcome.kind is OutcomeKind.SUCCESS
    assert stage.heard.of(2) == ["Exited"]
    gate.close()
    lifeline.close()


async def test_a_recall_leaves_a_call_that_has_begun_alone(stage: WarmStage, tmp_path: Path) -> None:
    lifeline, gate = Lifeline(tmp_path / "there"), Gate(tmp_path / "gate")
    stage.launch(1, "await_gate", str(lifeline.path), str(gate.path))
    await lifeline.until(1)
    stage.driver.halt(AttemptId(1), 1, grace=0, reason="recall")
    gate.open()
    assert (await stage.heard.until(Exited, 1)).outcome.kind is OutcomeKind.SUCCESS
    gate.close()
    lifeline.close()


async def test_a_busy_worker_is_found_again_and_its_call_told_by_its_record(stage: WarmStage, tmp_path: Path) -> None:
    lifeline, gate = Lifeline(tmp_path / "there"), Gate(tmp_path / "gate")
    stage.launch(1, "await_gate", str(lifeline.path), str(gate.path))
    await lifeline.until(1)
    await stage.renew()
    await stage.driver.reattach_workers([LiveWorker(AttemptId(1), lying=False, evicted=False)])
    await stage.driver.reattach([live_of(stage.orders[1])])
    assert stage.heard.of(1) == []
    gate.open()
    ended = await stage.heard.until(Exited, 1)
    assert (ended.outcome.kind, ended.parked is not None) == (OutcomeKind.SUCCESS, True)
    assert (await stage.run(2, "nothing")).outcome.kind is OutcomeKind.SUCCESS
    gate.close()
    lifeline.close()


async def test_parked_workers_are_reattached_or_proven_gone_and_unknown_ones_ended(stage: WarmStage) -> None:
    await stage.run(1, "nothing")
    pid = json.loads((stage.orders[1].directory / "start.json").read_text())["worker_pid"]
    await stage.renew()
    await stage.driver.reattach_workers([LiveWorker(AttemptId(9), lying=True, evicted=False)])
    await stage.gone(9)
    assert not is_there(pid)


async def test_what_is_no_call_fails_for_good(stage: WarmStage) -> None:
    stage.launch(1, "nothing", call={"target": None})
    ended = await stage.heard.until(Exited, 1)
    assert (ended.outcome.kind, ended.outcome.final) == (OutcomeKind.FAILURE, True)


async def test_an_interpreter_that_is_not_there_is_the_tasks_own_failure(stage: WarmStage) -> None:
    ended = await stage.run(1, "nothing", call={"python": "/no/such/python"})
    assert (ended.outcome.kind, ended.outcome.exit_code) == (OutcomeKind.FAILURE, 127)


async def test_nothing_is_made_in_the_home_before_a_worker_is_needed(stage: WarmStage, tmp_path: Path) -> None:
    await stage.driver.reattach_workers([])
    assert os.listdir(tmp_path) == []


async def test_workers_that_cannot_be_started_lose_their_calls_and_the_next_one_tries_again(stage: WarmStage) -> None:
    """Once in vain is not for ever: nothing would be told of a call, nor of any after it."""
    in_the_way = stage.home / "workers"
    in_the_way.write_text("")
    lost = (await stage.run(1, "nothing")).outcome
    assert (lost.kind, lost.engine_lost) == (OutcomeKind.LOST, False)
    assert lost.message.startswith("no worker can be started: ")
    await stage.gone()
    in_the_way.unlink()
    assert (await stage.run(2, "nothing", own=True)).outcome.kind is OutcomeKind.SUCCESS


async def test_a_stop_is_no_error_though_workers_could_not_be_started(tmp_path: Path) -> None:
    (tmp_path / "workers").write_text("")
    driver, heard = WorkerDriver(tmp_path), Heard()
    await driver.start(heard)
    driver.launch(call_order(tmp_path, 1, call_of("nothing")))
    await driver.stop()
    assert heard.of(1) == ["Exited"]


async def test_an_end_that_is_found_while_its_worker_is_buried_is_told_once(
    stage: WarmStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver, loop, looks = stage.driver, asyncio.get_running_loop(), []

    def look(order: Order) -> Ending:
        looks.append(order)
        if len(looks) == 1:
            settled = driver._settle(driver._holds[AttemptId(1)], order)
            asyncio.run_coroutine_threadsafe(settled, loop).result(20)
        return Ending(begun=False)

    monkeypatch.setattr("passloop.drivers.workers.driver.look_at", look)
    stage.launch(1, "die", signal.SIGKILL)
    await stage.gone()
    assert stage.heard.of(1).count("Exited") == 1
    assert len(looks) == 2


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
async def test_no_room_for_workers_pauses_the_engine_and_costs_their_calls_nothing(
    stage: WarmStage, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    async def start(self: ProcessDriver, report: Report, *, failed: Fail) -> None:
        raise OSError(number, "no space left")

    monkeypatch.setattr(ProcessDriver, "start", start)
    assert (await stage.run(1, "nothing")).outcome.engine_lost
    assert [event.paused for event in stage.heard.events if isinstance(event, PauseChanged)] == [True]


async def test_a_worker_whose_files_are_limited_costs_an_attempt_and_its_place_and_pauses_nobody(
    stage: WarmStage,
) -> None:
    await stage.run(1, "count")
    resource.prlimit(stage.result(1)["pid"], resource.RLIMIT_FSIZE, (2_000, resource.RLIM_INFINITY))
    exited = await stage.run(2, "nothing")
    assert (exited.outcome.kind, exited.outcome.engine_lost, exited.parked) == (OutcomeKind.LOST, False, None)
    assert "File too large" in exited.outcome.message
    await stage.gone()
    assert not any(isinstance(event, PauseChanged) for event in stage.heard.events)


async def test_a_call_that_limits_the_files_of_its_worker_is_its_last(stage: WarmStage) -> None:
    exited = await stage.run(1, "limit_files", 2_000)
    assert (exited.outcome.kind, exited.parked) == (OutcomeKind.SUCCESS, None)
    assert "RLIMIT_FSIZE" in exited.outcome.message
    await stage.gone()
