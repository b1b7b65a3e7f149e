"""What the process driver does besides its contract: refusals, foreign reports, order of instructions."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import shutil
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from passloop.drivers.base import Launch
from passloop.drivers.processes import keeper
from passloop.drivers.processes.keeper.frames import join
from passloop.drivers.processes.keeper.zygote import MOST_RESTED
from passloop.drivers.processes.launcher import Launcher
from passloop.kernel.events import Exited, Started, StartRefused
from passloop.kernel.tasks import OutcomeKind
from tests.support.attempts import PATIENCE, Stage, live_of, order_for, tree_command, waiting_command

KEEPER = Path(keeper.__file__).parent

BOOT_WITH_MOST_ATTEMPTS = """
import sys, types
package = types.ModuleType("keeper")
package.__path__ = [{keeper!r}]
sys.modules["keeper"] = package
import keeper.shim, keeper.zygote
keeper.shim.MOST_ATTEMPTS = {most}
keeper.zygote.main(orders=int(sys.argv[1]), home=int(sys.argv[2]), open_files=int(sys.argv[3]))
"""
"""What a zygote begins with whose shims give way sooner, in the place of the keeper's own `boot.py`."""


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as stage:
        yield stage


async def test_a_second_look_at_the_devices_may_refuse_the_start(tmp_path: Path) -> None:
    def check(order: Launch) -> StartRefused | None:
        return StartRefused(order.attempt, order.epoch, reason="taken") if order.attempt == 1 else None

    async with Stage(tmp_path, check=check) as stage:
        refused = order_for(tmp_path, 1, ["true"])
        stage.driver.launch(refused)
        assert stage.heard.events == [StartRefused(refused.attempt, 1, reason="taken")]
        assert not refused.directory.exists()
        assert (await stage.run(["true"], 2)).outcome.kind is OutcomeKind.SUCCESS


async def test_reports_that_are_not_from_our_shims_are_passed_over(stage: Stage) -> None:
    lifeline = stage.lifeline()
    order = stage.launch(tree_command("setsid", lifeline))
    await lifeline.until(2)
    record = {"attempt": 1, "name": "another", "kind": "success"}
    unknown = record | {"attempt": 99}
    damaged = {"attempt": 1, "name": order.name, "kind": "no such kind"}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        for text in (
            b"",
            b"exited",
            b"exited\n[]",
            *(b"exited\n" + json.dumps(r).encode() for r in (record, unknown, damaged)),
        ):
            sender.sendto(text, str(stage.home / "reports"))
    await stage.run(["true"], 2)
    assert stage.heard.of(1) == ["Started"]


async def test_a_wish_to_stop_that_cannot_be_left_kills_at_once(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    lifeline = stage.lifeline()
    order = stage.launch(tree_command("setsid", lifeline))
    await lifeline.until(2)

    def refuse(*_words: object, **_fields: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("passloop.drivers.processes.driver.ask_to_stop", refuse)
    stage.driver.halt(order.attempt, 1, grace=3_600_000, reason="cancelled")
    exited = await stage.ended()
    assert (exited.outcome.kind, lifeline.survivors()) == (OutcomeKind.CANCELLED, False)


async def test_a_shim_that_cannot_report_is_heard_by_its_record(stage: Stage) -> None:
    (stage.home / "reports").unlink()
    exited = await stage.run(["sh", "-c", "exit 9"])
    assert exited.outcome.exit_code == 9
    assert stage.heard.of(1) == ["Started", "Exited"]


async def test_a_halt_before_the_command_runs_is_cancelled_and_nothing_ran(stage: Stage) -> None:
    ran = stage.home / "ran"
    order = order_for(stage.home, 1, ["touch", str(ran)])
    stage.launch(["touch", str(ran)])
    stage.driver.halt(order.attempt, 1, grace=0, reason="down")
    outcome = (await stage.ended()).outcome
    if outcome.kind is OutcomeKind.LOST:
        assert outcome.engine_lost
    else:
        assert ran.exists()  # it was through before the wish came


async def test_records_that_cannot_be_read_lose_the_attempt_and_end_its_tree(stage: Stage) -> None:
    lifeline = stage.lifeline()
    order = stage.launch(tree_command("setsid", lifeline))
    await lifeline.until(2)
    await stage.driver.stop()
    shutil.rmtree(order.directory)
    order.directory.write_text("in the way")
    await stage.renew()
    await stage.reattach(1)
    exited = await stage.ended()
    assert exited.outcome.kind in (OutcomeKind.LOST, OutcomeKind.FAILURE)  # who tells first: we, or its shim
    assert not lifeline.survivors()


async def test_many_attempts_at_once_all_come_to_their_end(stage: Stage) -> None:
    """More than a datagram queue holds and more than rest: no report is missed."""
    count = 60
    for attempt in range(1, count + 1):
        stage.launch(["true"], attempt)
    for attempt in range(1, count + 1):
        await stage.ended(attempt)
    assert [stage.heard.of(attempt) for attempt in range(1, count + 1)] == [["Started", "Exited"]] * count


async def test_rested_shims_end_with_their_zygote(stage: Stage) -> None:
    """More than rest at once: those that are dismissed and those that rest have both to hear of it."""
    lifeline, gate = stage.lifeline(), stage.gate()
    attempts = range(1, MOST_RESTED + 4)
    for attempt in attempts:
        stage.launch(waiting_command(lifeline, gate), attempt)
    await lifeline.until(len(attempts))
    started = [await stage.heard.until(Started, attempt) for attempt in attempts]
    shims = [os.pidfd_open(json.loads(event.process)["pid"]) for event in started]
    gate.open(len(attempts))
    for attempt in attempts:
        await stage.ended(attempt)
    await stage.driver.stop()
    for shim in shims:
        await _gone(shim)


async def test_a_shim_at_its_last_attempt_is_handed_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would end with that order in its hands, and an attempt that nobody began would be lost."""
    most, attempts = 2, range(1, 17)
    boot = tmp_path / "boot.py"
    boot.write_text(BOOT_WITH_MOST_ATTEMPTS.format(keeper=str(KEEPER), most=most))
    monkeypatch.setattr("passloop.drivers.processes.launcher._BOOT", boot)
    async with Stage(tmp_path) as stage:
        ended = [(await stage.run(["true"], attempt)).outcome for attempt in attempts]
        assert [(outcome.kind, outcome.message) for outcome in ended] == [(OutcomeKind.SUCCESS, "")] * len(attempts)
        started = [await stage.heard.until(Started, attempt) for attempt in attempts]
    assert max(Counter(event.process for event in started).values()) <= most


async def test_a_shim_holds_no_device_lock_that_came_for_the_order_of_another(tmp_path: Path) -> None:
    """Orders that wait for the zygote come to it as one piece, with the descriptors of the last of them."""
    path = tmp_path / "lock"
    path.touch()
    held = os.open(path, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_SH)
    async with Stage(tmp_path, inherit_fds=lambda granted: [held] if granted.devices else []) as stage:
        assert stage.driver._launcher is not None
        zygote = stage.driver._launcher.pid
        assert zygote is not None
        os.kill(zygote, signal.SIGSTOP)
        stage.launch(["true"], 1)
        stage.launch(["true"], 2, gpus=["GPU-a"])
        os.kill(zygote, signal.SIGCONT)
        await stage.ended(1)
        await stage.ended(2)
        os.close(held)
        await stage.run(["true"], 3)  # by then the zygote has let go what it passed on
        with path.open() as another:
            fcntl.flock(another, fcntl.LOCK_EX | fcntl.LOCK_NB)


async def _gone(pidfd: int) -> None:
    gone = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(pidfd, gone.set)
    try:
        await asyncio.wait_for(gone.wait(), PATIENCE)
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)


async def test_the_start_names_the_process_that_stands_over_the_attempt(stage: Stage) -> None:
    lifeline = stage.lifeline()
    order = stage.launch(tree_command("child", lifeline))
    await lifeline.until(2)
    started = await stage.heard.until(Started, 1)
    record = json.loads((order.directory / "start.json").read_text())
    named = json.loads(started.process)
    assert {key: record[key] for key in named} == named
    assert _name_of(named["pid"]) == "passloop-shim\n"


def _name_of(pid: int) -> str:
    return Path(f"/proc/{pid}/comm").read_text()


async def test_the_exit_record_tells_what_was_used(stage: Stage) -> None:
    order = stage.launch(["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done"])
    exited = await stage.ended()
    record = json.loads((order.directory / "exit.json").read_text())
    assert record["cpu_ms"] > 0
    assert exited.outcome.ran == record["wall_us"] // 1_000 > 0
    assert record["max_rss_kib"] > 100
    assert (order.directory / "out").is_dir()


async def test_reattaching_an_ended_attempt_tells_its_end_once(stage: Stage) -> None:
    order = stage.launch(["true"])
    await stage.ended()
    await stage.renew()
    await stage.driver.reattach([live_of(order, state="admitted")])
    assert stage.heard.of(1) == ["Started", "Exited"]
    assert stage.heard.find(Exited, 1) is not None


async def test_the_zygote_forgets_the_environment_that_is_put_out_for_another(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would else hold one for each environment that anybody ever submitted with."""
    sent: list[bytes] = []
    monkeypatch.setattr(Launcher, "send", lambda _launcher, frame: sent.append(frame))
    for number in range(66):
        stage.driver._keep_environment(f"e{number}", b"an environment")
    assert sent[64:] == [join([b"forget", b"e0"]), b"an environment", join([b"forget", b"e1"]), b"an environment"]
