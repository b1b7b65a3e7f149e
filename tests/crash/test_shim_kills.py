"""Kill -9 of what stands over attempts: shim, zygote, engine. Nothing runs twice, nothing stays, nothing is missed."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from passloop.drivers.identity import Process, boot_id, process_from_json, send, ticks_of
from passloop.drivers.processes import strays
from passloop.drivers.processes.keeper.records import claim_start
from passloop.drivers.processes.strays import end_all, find, wait_gone
from passloop.kernel.events import Exited, Started, StrayGone
from passloop.kernel.tasks import Outcome, OutcomeKind
from tests.support.attempts import PATIENCE, Heard, Stage, live_of, order_for, tree_command, waiting_command

ENGINE = Path(__file__).parents[1] / "support" / "engine_to_kill.py"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as stage:
        yield stage


def shim_of(heard: Heard, attempt: int = 1) -> int:
    started = heard.find(Started, attempt)
    assert started is not None
    return process_from_json(started.process).pid


def zygote_of(stage: Stage) -> int:
    assert stage.driver._launcher is not None
    pid = stage.driver._launcher.pid
    assert pid is not None
    return pid


def no_other_comes_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Kill the zygote; each after it dies at once, with last words."""
    broken = stage.home / "broken.py"
    broken.write_text("raise SystemExit('no such luck')")
    monkeypatch.setattr("passloop.drivers.processes.launcher._BOOT", broken)
    os.kill(zygote_of(stage), signal.SIGKILL)


@pytest.mark.parametrize("shape", ["child", "double_fork", "setsid", "stubborn", "clean_environment", "pipeline"])
async def test_a_killed_shim_is_noticed_and_its_tree_is_ended(stage: Stage, shape: str) -> None:
    lifeline = stage.lifeline()
    stage.launch(tree_command(shape, lifeline))
    await lifeline.until(2)
    os.kill(shim_of(stage.heard), signal.SIGKILL)
    exited = await stage.ended()
    assert (exited.outcome.kind, exited.stray, lifeline.survivors()) == (OutcomeKind.LOST, False, False)


async def test_a_killed_shim_of_one_attempt_does_not_touch_another(stage: Stage) -> None:
    first, second = stage.lifeline(), stage.lifeline()
    stage.launch(tree_command("setsid", first), 1)
    stage.launch(tree_command("setsid", second), 2)
    await first.until(2)
    await second.until(2)
    os.kill(shim_of(stage.heard, 1), signal.SIGKILL)
    await stage.ended(1)
    assert stage.heard.of(2) == ["Started"]
    assert second.survivors()


async def test_a_shim_that_was_used_before_is_as_safe_to_kill(stage: Stage) -> None:
    await stage.run(["true"], 1)
    lifeline = stage.lifeline()
    stage.launch(tree_command("double_fork", lifeline), 2)
    await lifeline.until(2)
    os.kill(shim_of(stage.heard, 2), signal.SIGKILL)
    exited = await stage.ended(2)
    assert (exited.outcome.kind, lifeline.survivors()) == (OutcomeKind.LOST, False)
    assert (await stage.run(["true"], 3)).outcome.kind is OutcomeKind.SUCCESS


async def test_a_signal_meant_for_an_ended_attempt_does_not_stop_the_next_of_its_shim(stage: Stage) -> None:
    lifeline, gate = stage.lifeline(), stage.gate()
    stage.launch(waiting_command(lifeline, gate))
    await lifeline.until(1)
    os.kill(shim_of(stage.heard), signal.SIGTERM)
    gate.open()
    assert (await stage.ended()).outcome.kind is OutcomeKind.SUCCESS


async def test_killed_zygote_is_replaced_and_what_runs_goes_on(stage: Stage) -> None:
    lifeline, gate = stage.lifeline(), stage.gate()
    stage.launch(waiting_command(lifeline, gate))
    await lifeline.until(1)
    os.kill(zygote_of(stage), signal.SIGKILL)
    assert (await stage.run(["true"], 2)).outcome.kind is OutcomeKind.SUCCESS
    assert stage.driver.statistics()["zygote_starts"] == 2
    gate.open()
    assert (await stage.ended()).outcome.kind is OutcomeKind.SUCCESS


async def test_orders_sent_to_a_killed_zygote_run_exactly_once(stage: Stage) -> None:
    ran = stage.home / "ran"
    count = 40
    for attempt in range(1, count + 1):
        stage.launch(["sh", "-c", f"echo $PASSLOOP_TASK_ID >> '{ran}'"], attempt)
        if attempt == count // 2:
            os.kill(zygote_of(stage), signal.SIGKILL)
    endings = [(await stage.ended(attempt)).outcome.kind for attempt in range(1, count + 1)]
    assert endings == [OutcomeKind.SUCCESS] * count
    assert sorted(map(int, ran.read_text().split())) == list(range(1, count + 1))


async def test_the_next_zygote_is_told_the_environments_of_all_that_has_not_begun(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than are kept for the attempts to come, each with one of its own."""
    monkeypatch.setattr("passloop.drivers.processes.driver._KEPT_ENVIRONMENTS", 1)
    os.kill(zygote_of(stage), signal.SIGKILL)
    for attempt in (1, 2, 3):
        stage.launch(["sh", "-c", 'exit "$OWN"'], attempt, environment={**os.environ, "OWN": str(attempt)})
    endings = [(await stage.ended(attempt)).outcome.exit_code for attempt in (1, 2, 3)]
    assert endings == [1, 2, 3]


async def test_a_zygote_that_never_comes_up_loses_the_attempts_with_its_last_words(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_other_comes_up(stage, monkeypatch)
    outcome = (await stage.run(["true"])).outcome
    assert outcome.kind is OutcomeKind.LOST
    assert outcome.message == "the process that starts attempts does not come up: no such luck"
    monkeypatch.undo()
    assert (await stage.run(["true"], 2)).outcome.kind is OutcomeKind.SUCCESS


async def test_a_zygote_that_never_comes_up_is_started_again_for_the_next_attempt_alone(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without anything to start it would be started some hundred times a second."""
    no_other_comes_up(stage, monkeypatch)
    for attempt in (1, 2):
        assert (await stage.run(["true"], attempt)).outcome.kind is OutcomeKind.LOST
        assert stage.driver._launcher is not None
        assert stage.driver._launcher.pid is None


async def test_a_zygote_that_cannot_be_made_loses_the_attempt_and_the_next_tries_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its interpreter is away, as during an upgrade."""
    monkeypatch.setattr(sys, "executable", "/not/there/python")
    os.kill(zygote_of(stage), signal.SIGKILL)
    for attempt in (1, 2):
        outcome = (await stage.run(["true"], attempt)).outcome
        assert outcome.kind is OutcomeKind.LOST
        assert outcome.message.startswith("the process that starts attempts does not come up: ")
    monkeypatch.undo()
    assert (await stage.run(["true"], 3)).outcome.kind is OutcomeKind.SUCCESS


async def test_an_attempt_that_a_killed_zygotes_shim_has_begun_is_not_lost_though_no_other_comes_up(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    no_other_comes_up(stage, monkeypatch)
    order = stage.launch(["true"])
    shim = await asyncio.create_subprocess_exec("sleep", "600")
    order.directory.mkdir(parents=True)
    folder = os.open(order.directory, os.O_RDONLY)
    record = {"name": order.name, "pid": shim.pid, "ticks": ticks_of(shim.pid), "boot": boot_id()}
    assert claim_start(folder, json.dumps(record).encode())
    os.close(folder)
    await stage.heard.until(Started, 1)
    shim.kill()
    await shim.wait()
    assert (await stage.ended()).outcome.kind is OutcomeKind.LOST
    assert stage.heard.of(1) == ["Started", "Exited"]


async def test_attempts_survive_the_engine_and_are_taken_up_by_the_next(tmp_path: Path) -> None:
    """P5: the engine is killed with eight attempts running; all are re-adopted, none restarted."""
    count = 8
    stage = Stage(tmp_path)
    lifeline, gate = stage.lifeline(), stage.gate()
    command = waiting_command(lifeline, gate, f"echo $PASSLOOP_TASK_ID >> '{tmp_path}/ran'")
    live = await _killed_engine(tmp_path, count, command)
    await lifeline.until(count)
    async with stage:
        orders = [order_for(tmp_path, fields["attempt"], [], name=fields["name"]) for fields in live]
        lives = [live_of(order, process=fields["process"]) for order, fields in zip(orders, live, strict=True)]
        await stage.adopt(*lives, orders=orders)
        assert stage.heard.events == []
        gate.open(count)
        kinds = [(await stage.ended(order.attempt)).outcome.kind for order in orders]
    assert kinds == [OutcomeKind.SUCCESS] * count
    assert sorted((tmp_path / "ran").read_text().split()) == [str(at + 1) for at in range(count)]


async def _killed_engine(home: Path, count: int, command: list[str]) -> list[dict[str, Any]]:
    """What an engine that was then killed -9 has told of the attempts it started."""
    engine = await asyncio.create_subprocess_exec(
        sys.executable, str(ENGINE), str(home), str(count), json.dumps(command), stdout=subprocess.PIPE
    )
    assert engine.stdout is not None
    live = [json.loads(await engine.stdout.readline()) for _ in range(count)]
    engine.kill()
    await engine.wait()
    return live


async def test_an_admitted_attempt_that_had_begun_is_reported_started_by_the_next_engine(stage: Stage) -> None:
    lifeline = stage.lifeline()
    stage.launch(tree_command("setsid", lifeline))
    await lifeline.until(2)
    await stage.renew()
    await stage.reattach(1, state="admitted")
    assert stage.heard.of(1) == ["Started"]


async def test_an_attempt_that_ended_without_an_engine_is_found_by_its_record(stage: Stage) -> None:
    lifeline, gate = stage.lifeline(), stage.gate()
    stage.launch(waiting_command(lifeline, gate, "exit 4"))
    await lifeline.until(1)
    process = process_from_json((await stage.heard.until(Started, 1)).process)
    await stage.driver.stop()
    gate.open()
    await wait_gone([process])
    await stage.renew()
    await stage.reattach(1)
    exited = stage.heard.find(Exited, 1)
    assert exited is not None
    assert exited.outcome.exit_code == 4


async def test_a_tombstone_forbids_the_start_for_ever(stage: Stage) -> None:
    order = order_for(stage.home, 1, ["touch", str(stage.home / "ran")])
    await stage.driver.reattach([live_of(order, state="admitted")])
    await stage.ended()
    await stage.renew()
    exited = await stage.run(["touch", str(stage.home / "ran")])
    assert exited.outcome.kind is OutcomeKind.LOST
    assert not (stage.home / "ran").exists()


async def test_a_stray_of_an_earlier_engine_is_ended_and_said_to_be_gone(stage: Stage) -> None:
    lifeline = stage.lifeline()
    order = stage.launch(tree_command("setsid", lifeline))
    await lifeline.until(2)
    await stage.driver.stop()
    os.kill(shim_of(stage.heard), signal.SIGKILL)
    await stage.renew()
    await stage.driver.reattach([live_of(order, state="stray")])
    await stage.heard.until(StrayGone, 1)
    assert stage.heard.of(1) == ["StrayGone"]
    assert not lifeline.survivors()
    stage.heard(Exited(order.attempt, 1, Outcome(OutcomeKind.LOST)))  # as the earlier engine had


@pytest.mark.parametrize("state", ["stray", "running"])
async def test_an_engine_starts_though_a_stray_does_not_die(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    """It has a process in uninterruptible sleep, as far as it knows: nothing that it does ends that one."""
    stuck = await asyncio.create_subprocess_exec("sleep", "600")
    left = Process(stuck.pid, ticks_of(stuck.pid) or 0, boot_id())

    async def in_vain(*_: object) -> list[Process]:
        return [left]

    lifeline = stage.lifeline()
    order = stage.launch(waiting_command(lifeline, stage.gate()))
    await lifeline.until(1)
    os.kill(shim_of(stage.heard), signal.SIGKILL)
    await stage.ended()
    await stage.renew()
    monkeypatch.setattr(strays, "end_all", in_vain)
    monkeypatch.setattr(strays, "send", lambda _held, _number: None)
    stage.heard(Exited(order.attempt, 1, Outcome(OutcomeKind.LOST)))  # as the earlier engine had
    try:
        await asyncio.wait_for(stage.driver.reattach([live_of(order, state=state)]), 10)
        assert stage.heard.find(StrayGone, 1) is None
    finally:
        stuck.kill()
        await stuck.wait()
    await stage.heard.until(StrayGone, 1)
    assert stage.heard.of(1)[1:] == (["StrayGone"] if state == "stray" else ["Exited", "StrayGone"])


async def test_what_is_left_of_an_attempt_is_found_by_its_name(stage: Stage) -> None:
    lifeline = stage.lifeline()
    order = stage.launch(tree_command("fork", lifeline))
    await lifeline.until(3)
    assert len(find(order.name, None, None)) == 3
    assert find(order.name + "0", None, None) == []


async def test_one_that_does_not_die_keeps_no_other_from_being_signalled() -> None:
    up = "trap '' TERM; echo up; read line"
    stubborn = await asyncio.create_subprocess_exec("sh", "-c", up, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    other = await asyncio.create_subprocess_exec("sleep", "600")
    assert stubborn.stdout is not None
    await stubborn.stdout.readline()
    both = [Process(one.pid, ticks_of(one.pid) or 0, boot_id()) for one in (stubborn, other)]
    gone = asyncio.create_task(wait_gone(both, signal.SIGTERM))
    try:
        assert await asyncio.wait_for(other.wait(), PATIENCE) == -signal.SIGTERM
        assert not gone.done()
    finally:
        stubborn.kill()
        await stubborn.wait()
    await asyncio.wait_for(gone, PATIENCE)


async def test_what_begins_beside_one_that_does_not_die_is_killed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strays, "ROUND", 0.05)
    sleep, environment = ["sleep", "600"], {**os.environ, "PASSLOOP_ATTEMPT_ID": "home-1"}
    begun: list[subprocess.Popen[bytes]] = []
    has_begun = asyncio.Event()

    def in_vain_for_the_first(held: int, number: signal.Signals) -> None:
        if f"Pid:\t{first.pid}\n" not in Path(f"/proc/self/fdinfo/{held}").read_text():
            send(held, number)
        elif not begun:
            begun.append(subprocess.Popen(sleep, env=environment))
            has_begun.set()

    monkeypatch.setattr(strays, "send", in_vain_for_the_first)
    first = await asyncio.create_subprocess_exec(*sleep, env=environment)
    ending = asyncio.create_task(strays.end_all("home-1", None, None))
    try:
        await asyncio.wait_for(has_begun.wait(), PATIENCE)
        assert await asyncio.to_thread(begun[0].wait, PATIENCE) == -signal.SIGKILL
    finally:
        for one in (first, *begun):
            one.kill()
        await first.wait()
    assert await ending == []


async def test_what_is_called_a_stray_is_killed_with_all_that_comes_to_light_after_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strays, "PATIENCE", 0.0)
    monkeypatch.setattr(strays, "find", lambda *about: find(*about)[:1])
    lifeline = stage.lifeline()
    stage.launch(tree_command("fork", lifeline))
    await lifeline.until(3)
    os.kill(shim_of(stage.heard), signal.SIGKILL)
    assert (await stage.ended()).stray
    await stage.heard.until(StrayGone, 1)
    assert not lifeline.survivors()


async def test_a_process_of_another_user_is_a_stray_and_no_engine_ends_by_it(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody but root may signal what a command began by sudo."""
    monkeypatch.setattr(strays, "PATIENCE", 0.1)
    lifeline = stage.lifeline()
    order = stage.launch(tree_command("setsid", lifeline))
    await lifeline.until(2)
    tree = find(order.name, None, None)
    with monkeypatch.context() as patch:
        patch.setattr("signal.pidfd_send_signal", not_permitted)
        os.kill(shim_of(stage.heard), signal.SIGKILL)
        exited = await stage.ended()
        assert (exited.outcome.kind, exited.stray) == (OutcomeKind.LOST, True)
        await stage.renew()
        await asyncio.wait_for(stage.driver.reattach([live_of(order, state="stray")]), PATIENCE)
        assert lifeline.survivors()
        assert stage.driver.statistics()["strays"] == 1
    stage.heard(exited)  # as the earlier engine had
    for process in tree:
        os.kill(process.pid, signal.SIGKILL)
    await stage.heard.until(StrayGone, 1)


def not_permitted(_held: int, _number: signal.Signals) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")


async def test_a_killed_shim_that_is_told_of_twice_at_once_is_buried_once(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the zygote and by its own descriptor: both are there when the loop turns."""
    burials: list[str] = []

    async def counted(name: str, *about: Any) -> list[Process]:
        burials.append(name)
        return await end_all(name, *about)

    monkeypatch.setattr(strays, "end_all", counted)
    lifeline = stage.lifeline()
    order = stage.launch(tree_command("setsid", lifeline))
    await lifeline.until(2)
    assert stage.driver._launcher is not None
    words = stage.driver._launcher._socket
    assert words is not None
    os.kill(shim_of(stage.heard), signal.SIGKILL)
    assert select.select([words], [], [], PATIENCE)[0]
    await stage.ended()
    assert burials == [order.name]
