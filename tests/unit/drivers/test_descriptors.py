"""An engine without a descriptor left takes nobody for gone: what it cannot watch goes on and is heard all the same."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import resource
import signal
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from passloop.drivers.base import Launch
from passloop.drivers.calls.caller import CallRequest
from passloop.drivers.calls.client import Client
from passloop.drivers.calls.endpoints import Endpoint, Model
from passloop.drivers.calls.errors import NotSent
from passloop.drivers.calls.secrets import resolve
from passloop.drivers.identity import Process, open_process, own_process, process_json
from passloop.drivers.leases import LeaseDriver
from passloop.drivers.processes import strays
from passloop.drivers.processes.cgroups import memory_parent
from passloop.drivers.processes.driver import ProcessDriver
from passloop.drivers.processes.launcher import Launcher
from passloop.drivers.processes.own_word import explained
from passloop.drivers.workers.driver import WorkerDriver
from passloop.drivers.workers.endings import Ending, look_at, said_outcome
from passloop.drivers.workers.pool import Order
from passloop.kernel.events import Exited, Started, StrayGone, WorkerGone
from passloop.kernel.tasks import Outcome, OutcomeKind
from tests.support.attempts import Heard, Stage, live_of, order_for, waiting_command
from tests.support.wants import none_left
from tests.support.warm import call_of, call_order

WORD = '{"outcome": "out_of_memory", "message": "too large"}'


def first_in_vain(monkeypatch: pytest.MonkeyPatch, name: str, real: Callable[..., Any]) -> list[object]:
    """Let the function of this name find no descriptor at its first call; what it was called with is noted."""
    calls: list[object] = []

    def tried(*args: object) -> object:
        calls.append(args)
        if len(calls) == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return real(*args)

    monkeypatch.setattr(name, tried)
    return calls


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


async def lessor(home: Path) -> tuple[LeaseDriver, Heard, Launch]:
    """A driver of leases, and one that asks devices for this process."""
    driver, heard, own = LeaseDriver(), Heard(), own_process()
    await driver.start(heard)
    return driver, heard, replace(order_for(home, 1, []), payload={"pid": own.pid, "ticks": own.ticks})


async def test_a_lease_whose_holder_cannot_be_watched_begins_when_there_is_a_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Were it called lost, it would be admitted again at once, turn after turn."""
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.05)
    driver, heard, order = await lessor(tmp_path)
    with none_left():
        driver.launch(order)
    assert heard.of(1) == []
    await heard.until(Started, 1)
    driver.release(order.attempt)
    assert heard.of(1) == ["Started", "Exited"]
    await driver.stop()


async def test_a_lease_whose_holder_cannot_be_watched_is_not_looked_at_all_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 60)
    looks = first_in_vain(monkeypatch, "passloop.drivers.leases.open_process", open_process)
    driver, heard, order = await lessor(tmp_path)
    driver.launch(order)
    for _ in range(20):
        await asyncio.sleep(0)
    assert (len(looks), heard.of(1)) == (1, [])
    driver.halt(order.attempt, 1, grace=0, reason="cancelled")
    exited = heard.find(Exited, 1)
    assert exited is not None
    assert exited.outcome.kind is OutcomeKind.CANCELLED
    await driver.stop()


@pytest.mark.parametrize("ending", ["halt", "stop"])
async def test_a_lease_that_was_given_up_before_it_could_be_watched_never_begins(
    ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.001)
    driver, heard, order = await lessor(tmp_path)
    with none_left():
        driver.launch(order)
    if ending == "stop":
        await driver.stop()
    else:
        driver.halt(order.attempt, 1, grace=0, reason="cancelled")
    over = asyncio.Event()
    asyncio.get_running_loop().call_later(2 * 0.001, over.set)
    await over.wait()
    assert heard.find(Started, 1) is None
    await driver.stop()


@pytest.mark.parametrize(("lives", "told"), [(False, ["Exited"]), (True, [])])
async def test_a_lease_that_lasts_and_cannot_be_watched_is_looked_at_later_by_the_next_engine(
    lives: bool, told: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And that engine starts."""
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.05)
    driver, heard, order = await lessor(tmp_path)
    own = own_process()
    live = live_of(order, process=process_json(own if lives else replace(own, ticks=0)))
    with none_left():
        await driver.reattach([live])
    assert heard.of(1) == []
    looked = asyncio.Event()

    def look(process: Process) -> int | None:
        looked.set()
        return open_process(process)

    monkeypatch.setattr("passloop.drivers.leases.open_process", look)
    await looked.wait()
    assert heard.of(1) == told
    driver.release(order.attempt)
    assert heard.of(1) == ["Exited"]
    await driver.stop()


async def test_a_lease_that_lasts_and_cannot_be_watched_can_be_given_back(tmp_path: Path) -> None:
    driver, heard, order = await lessor(tmp_path)
    live = live_of(order, process=process_json(own_process()))
    with none_left():
        await driver.reattach([live])
    driver.release(order.attempt)
    exited = heard.find(Exited, 1)
    assert exited is not None
    assert (exited.outcome.kind, exited.outcome.message) == (OutcomeKind.SUCCESS, "released")
    await driver.stop()


async def test_an_attempt_whose_records_cannot_be_opened_is_looked_at_later_and_not_called_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.05)
    memory_parent()  # read once for all
    async with Stage(tmp_path) as stage:
        lifeline, gate = stage.lifeline(), stage.gate()
        order = stage.launch(waiting_command(lifeline, gate))
        await stage.heard.until(Started, 1)
        await lifeline.until(1)
        await stage.renew()
        with none_left():
            await stage.adopt(live_of(order), orders=[order])
        assert stage.heard.of(1) == []
        stage.driver.halt(order.attempt, 1, grace=0, reason="cancelled")
        assert (await stage.ended()).outcome.kind is OutcomeKind.CANCELLED


async def test_a_call_whose_records_cannot_be_opened_ends_as_they_say_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.05)
    driver, heard, tried = WorkerDriver(tmp_path), Heard(), []

    def look(order: Order) -> Ending:
        tried.append(order.attempt)
        if len(tried) == 1:
            raise OSError(errno.EMFILE, "Too many open files")
        return look_at(order)

    monkeypatch.setattr("passloop.drivers.workers.driver.look_at", look)
    await driver.start(heard)
    driver.launch(call_order(tmp_path, 1, call_of("die", signal.SIGKILL)))
    ended = await heard.until(Exited, 1)
    assert (ended.outcome.kind, ended.outcome.signal, len(tried)) == (OutcomeKind.LOST, signal.SIGKILL, 2)
    await heard.until(WorkerGone, 1)
    await driver.stop()


async def test_the_own_word_of_a_command_that_cannot_be_opened_is_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.05)
    first_in_vain(monkeypatch, "passloop.drivers.processes.driver.explained", explained)
    async with Stage(tmp_path) as stage:
        ended = await stage.run(["sh", "-c", f"echo '{WORD}' > $PASSLOOP_OUT/outcome.json; exit 1"])
    assert (ended.outcome.kind, ended.outcome.message) == (OutcomeKind.OUT_OF_MEMORY, "too large")


async def test_the_own_word_of_a_call_that_cannot_be_opened_is_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_in_vain(monkeypatch, "passloop.drivers.workers.driver.said_outcome", said_outcome)
    driver, heard = WorkerDriver(tmp_path), Heard()
    await driver.start(heard)
    driver.launch(call_order(tmp_path, 1, call_of("fail", "refused", "no such set")))
    ended = await heard.until(Exited, 1)
    assert (ended.outcome.kind, ended.outcome.final, ended.parked is not None) == (OutcomeKind.FAILURE, True, True)
    await driver.stop()


def test_a_word_that_cannot_be_opened_for_want_of_descriptors_is_not_taken_for_none(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "outcome.json").write_text(WORD)
    with none_left(), pytest.raises(OSError, match="Too many open files"):
        explained(Outcome(OutcomeKind.FAILURE, exit_code=1), tmp_path)


async def test_what_outlives_its_end_is_waited_for_again_when_there_is_a_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.05)
    waits: list[int] = []

    async def in_vain_once(*_about: object) -> None:
        waits.append(1)
        if len(waits) == 1:
            raise OSError(errno.EMFILE, "Too many open files")

    async def lives_on(*_about: object) -> list[Process]:
        return [own_process()]

    monkeypatch.setattr(strays, "end_all", lives_on)
    monkeypatch.setattr(strays, "outlast", in_vain_once)
    async with Stage(tmp_path) as stage:
        lifeline, gate = stage.lifeline(), stage.gate()
        stage.launch(waiting_command(lifeline, gate))
        await lifeline.until(1)
        started = await stage.heard.until(Started, 1)
        os.kill(json.loads(started.process)["pid"], signal.SIGKILL)
        await stage.heard.until(StrayGone, 1)
        gate.open()
    assert len(waits) == 2


async def test_a_shim_that_could_not_be_watched_is_watched_when_there_is_a_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The zygote tells of its own shims' deaths, but nobody of one that an earlier engine started."""
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.05)
    async with Stage(tmp_path) as stage:
        lifeline, gate = stage.lifeline(), stage.gate()
        order = stage.launch(waiting_command(lifeline, gate))
        started = await stage.heard.until(Started, 1)
        await lifeline.until(1)
        await stage.renew()
        opened = first_in_vain(monkeypatch, "passloop.drivers.processes.driver.open_process", open_process)
        await stage.adopt(live_of(order), orders=[order])
        os.kill(json.loads(started.process)["pid"], signal.SIGKILL)
        assert (await stage.ended()).outcome.kind is OutcomeKind.LOST
        assert len(opened) >= 2
        assert not lifeline.survivors()


async def test_an_order_whose_descriptors_are_closed_is_refused_and_holds_up_no_other(tmp_path: Path) -> None:
    closed = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 1
    locks: list[list[int]] = [[closed], []]
    async with Stage(tmp_path, inherit_fds=lambda _allocation: locks.pop(0)) as stage:
        stage.launch(["true"])
        stage.launch(["true"], 2)
        assert (await stage.ended(2)).outcome.kind is OutcomeKind.SUCCESS
        outcome = (await stage.ended()).outcome
    assert (outcome.kind, outcome.message) == (
        OutcomeKind.LOST,
        "its device locks were let go: Bad file descriptor",
    )


async def test_an_order_with_too_many_descriptors_under_way_is_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.05)
    send, tried = Launcher._send_some, []

    def too_many(ours: socket.socket, rest: memoryview, lock_fds: Sequence[int]) -> int:
        tried.append(bytes(rest))
        if len(tried) == 1:
            raise OSError(errno.ETOOMANYREFS, "Too many references")
        return send(ours, rest, lock_fds)

    monkeypatch.setattr(Launcher, "_send_some", staticmethod(too_many))
    async with Stage(tmp_path) as stage:
        assert (await stage.run(["true"])).outcome.kind is OutcomeKind.SUCCESS
    assert tried[0] == tried[1]


async def test_descriptors_go_with_the_first_part_of_a_large_order_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sent twice they would be taken for those of the next order: a shim with the lock of another's device."""
    send, parts = Launcher._send_some, []

    def half(ours: socket.socket, rest: memoryview, lock_fds: Sequence[int]) -> int:
        parts.append(tuple(lock_fds))
        return send(ours, rest[: len(rest) // 2 or 1], lock_fds)

    monkeypatch.setattr(Launcher, "_send_some", staticmethod(half))
    held = os.open("/dev/null", os.O_RDONLY)
    async with Stage(tmp_path, inherit_fds=lambda allocation: [held] if allocation.devices else []) as stage:
        assert (await stage.run(["true"], gpus=["GPU-a"])).outcome.kind is OutcomeKind.SUCCESS
    os.close(held)
    assert [part for part in parts if part] == [(held,)]


async def test_a_frame_with_too_many_descriptors_under_way_waits_though_the_zygote_takes_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The socket can be written to all the time, which says nothing of descriptors."""
    troubles: list[OSError] = [BlockingIOError(), *(OSError(errno.ETOOMANYREFS, "") for _ in range(100))]
    tried: list[OSError] = []

    def refuse(*_args: object) -> int:
        tried.append(troubles.pop(0))
        raise tried[-1]

    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 60)
    monkeypatch.setattr(Launcher, "_send_some", staticmethod(refuse))
    async with Stage(tmp_path) as stage:
        launcher = stage.driver._launcher
        assert launcher is not None
        launcher.send(b"forget")
        for _ in range(20):
            await asyncio.sleep(0)
        assert len(tried) == 2


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


async def test_a_driver_that_cannot_start_leaves_nothing_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_launcher: Launcher) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(Launcher, "start", full)
    before = sorted(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="Too many open files"):
        await ProcessDriver(tmp_path).start(Heard())
    assert sorted(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "nowhere.invalid"])
async def test_an_endpoint_that_cannot_be_connected_to_for_want_of_descriptors_is_not_called_unreachable(
    host: str,
) -> None:
    client = Client()
    request = CallRequest(Model(Endpoint(f"http://{host}:9/v1"), "m"), {"prompt": "x"}, key="cell")
    with none_left(), pytest.raises(NotSent):
        await client.call(request, {})
    await client.close()


def test_a_key_that_cannot_be_opened_for_want_of_descriptors_is_not_called_missing(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sk-canary-1234")
    with none_left(), pytest.raises(OSError, match="Too many open files"):
        resolve(f"file:{tmp_path / 'key'}")
