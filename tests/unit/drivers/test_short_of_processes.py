"""A box that is short of processes, memory or descriptors: what cannot begin is tried again, and is no task's fault."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from passloop.drivers.descriptors import WANTED_AGAIN_MS
from passloop.drivers.processes import keeper
from passloop.drivers.processes.driver import ProcessDriver
from passloop.drivers.processes.keeper import commands
from passloop.drivers.processes.launcher import Launcher
from passloop.drivers.workers.cell import Cell, Standing
from passloop.drivers.workers.claims import StartRecord
from passloop.drivers.workers.driver import WorkerDriver
from passloop.drivers.workers.endings import said_outcome
from passloop.kernel.events import Exited, Started, WorkerGone
from passloop.kernel.tasks import Outcome, OutcomeKind
from tests.support.attempts import PATIENCE, Heard, Stage
from tests.support.wants import none_left
from tests.support.warm import call_of, call_order

BOOT = """
import os, socket, sys, types
package = types.ModuleType("keeper")
package.__path__ = [{keeper!r}]
sys.modules["keeper"] = package
left = [{error}] * {times}
real = {call}
def kept_back(*args, **named):
    if left:
        with open({said!r}, "wb", buffering=0) as file:
            file.write(b"x")
        raise OSError(left.pop(), "the want")
    return real(*args, **named)
{call} = kept_back
import keeper.shim, keeper.zygote
keeper.shim.AGAIN, keeper.shim.PATIENCE = {again}, {patience}
keeper.zygote.main(orders=int(sys.argv[1]), home=int(sys.argv[2]), open_files=int(sys.argv[3]))
"""
"""What a zygote begins with in which a function of the system is kept back so many times, in the place of `boot.py`."""

ALWAYS = 1_000

Want = Callable[..., None]


@pytest.fixture
def want(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Want:
    """Let zygotes begin with that boot, and let the driver try again soon."""

    def begin_with(
        call: str,
        *,
        times: int,
        error: int = errno.EAGAIN,
        again: float = 0.01,
        patience: float = 60,
        said: Path = Path(os.devnull),
    ) -> None:
        boot = tmp_path / "boot_kept_back.py"
        given = {"call": call, "times": times, "error": error, "again": again, "patience": patience}
        boot.write_text(BOOT.format(keeper=str(Path(keeper.__file__).parent), said=str(said), **given))
        monkeypatch.setattr("passloop.drivers.processes.launcher._BOOT", boot)

    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.01)
    return begin_with


def is_free(outcome: Outcome) -> bool:
    """Whether it was lost at no cost for its task."""
    return outcome.kind is OutcomeKind.LOST and outcome.engine_lost


def is_put_off(outcome: Outcome) -> bool:
    """Whether it was lost at no cost, and is to wait, while its devices are for others: a want may last."""
    return is_free(outcome) and outcome.retry_after == WANTED_AGAIN_MS


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("os.posix_spawn", errno.EAGAIN),
        ("os.posix_spawn", errno.ENOMEM),
        ("os.posix_spawn", errno.ENFILE),
        ("os.mkdir", errno.ENOMEM),
        ("os.posix_fallocate", errno.ENFILE),
        ("os.fork", errno.EAGAIN),
        ("socket.socketpair", errno.EMFILE),
    ],
)
async def test_what_cannot_begin_for_a_moment_begins_then(call: str, error: int, tmp_path: Path, want: Want) -> None:
    want(call, times=2, error=error)
    async with Stage(tmp_path) as stage:
        outcome = (await stage.run(["true"])).outcome
        assert (outcome.kind, outcome.message) == (OutcomeKind.SUCCESS, "")
        assert stage.heard.of(1) == ["Started", "Exited"]
        assert stage.driver.statistics()["zygote_starts"] == 1


@pytest.mark.parametrize(("call", "begins"), [("os.posix_spawn", True), ("os.mkdir", False)])
async def test_what_cannot_begin_for_long_is_given_back_at_no_cost(
    call: str, begins: bool, tmp_path: Path, want: Want
) -> None:
    want(call, times=ALWAYS, patience=0)
    async with Stage(tmp_path) as stage:
        outcome = (await stage.run(["true"])).outcome
        assert is_put_off(outcome)
        assert outcome.message == "the system was short of processes, memory or descriptors: the want"
        assert (stage.heard.find(Started, 1) is not None) == begins


async def test_the_next_engine_is_told_by_the_record_that_a_want_kept_it_back(tmp_path: Path, want: Want) -> None:
    want("os.posix_spawn", times=ALWAYS, patience=0)
    async with Stage(tmp_path) as stage:
        await stage.run(["true"])
        await stage.renew()
        await stage.reattach(1)
        assert is_put_off((await stage.ended()).outcome)


async def test_what_waits_for_a_process_hears_a_wish_to_stop_at_once(tmp_path: Path, want: Want) -> None:
    said = tmp_path / "said"
    want("os.posix_spawn", times=ALWAYS, again=3_600, patience=3_600, said=said)
    async with Stage(tmp_path) as stage:
        lifeline = stage.lifeline()
        os.replace(lifeline.path, said)
        order = stage.launch(["true"])
        await lifeline.until(1)
        await stage.heard.until(Started, 1)
        stage.driver.halt(order.attempt, 1, grace=0, reason="cancelled")
        outcome = (await stage.ended()).outcome
        assert (outcome.kind, outcome.message) == (OutcomeKind.CANCELLED, "stopped before it started")


@pytest.mark.parametrize("halted", [False, True])
async def test_an_order_for_which_no_shim_can_be_made_for_long_is_given_back_at_no_cost(
    halted: bool, tmp_path: Path, want: Want, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once if it is to be stopped."""
    want("os.fork", times=ALWAYS)
    monkeypatch.setattr("passloop.drivers.processes.driver._MOST_TRIES", ALWAYS if halted else 2)
    async with Stage(tmp_path) as stage:
        order = stage.launch(["true"])
        if halted:
            stage.driver.halt(order.attempt, 1, grace=0, reason="cancelled")
        outcome = (await stage.ended()).outcome
        assert is_put_off(outcome)
        assert outcome.message == "no process could be made: the want"
        assert stage.heard.of(1) == ["Exited"]


def in_vain(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, error: int, *, times: int = 1) -> None:
    """Let a method want something so many times."""
    left, real = [error] * times, getattr(owner, name)

    def tried(self: object, *args: Any, **named: Any) -> Any:
        if left:
            raise OSError(left.pop(), "the want")
        return real(self, *args, **named)

    monkeypatch.setattr(owner, name, tried)


async def test_what_is_ordered_while_there_is_no_zygote_keeps_the_next_one_from_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The zygote said of an attempt that no process could be made, and died before it was asked again."""
    async with Stage(tmp_path) as stage:
        in_vain(monkeypatch, Launcher, "start", errno.EAGAIN)
        assert stage.driver._launcher is not None
        assert stage.driver._launcher.pid is not None
        os.kill(stage.driver._launcher.pid, signal.SIGSTOP)
        order = stage.launch(["true"])
        watch = stage.driver._watches[order.attempt]
        settled = asyncio.Event()
        with monkeypatch.context() as patch:
            patch.setattr(stage.driver, "_settle_soon", lambda _watch: settled.set())
            os.kill(stage.driver._launcher.pid, signal.SIGKILL)
            await settled.wait()
            stage.driver._order_again(watch, "the want")
        stage.driver._settle_soon(watch)
        assert is_put_off((await stage.ended()).outcome)
        assert (await stage.run(["true"], 2)).outcome.kind is OutcomeKind.SUCCESS


@pytest.mark.parametrize(
    ("halted", "kind"),
    [("", OutcomeKind.SUCCESS), ("cancelled", OutcomeKind.CANCELLED), ("down", OutcomeKind.LOST)],
)
async def test_an_attempt_waits_for_the_zygote_that_cannot_be_made_now(
    halted: str, kind: OutcomeKind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is it lost by an engine that is told to go down meanwhile: its task goes back to the queue."""
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.01)
    in_vain(monkeypatch, ProcessDriver, "_need_zygote", errno.EAGAIN, times=2)
    async with Stage(tmp_path) as stage:
        order = stage.launch(["true"])
        if halted:
            stage.driver.halt(order.attempt, 1, grace=0, reason=halted)
        outcome = (await stage.ended()).outcome
        assert (outcome.kind, outcome.engine_lost) == (kind, halted == "down")
        assert order.directory.exists() is not bool(halted)


async def test_a_zygote_that_died_and_cannot_be_replaced_now_costs_who_waited_for_it_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Stage(tmp_path) as stage:
        in_vain(monkeypatch, Launcher, "start", errno.ENOMEM)
        assert stage.driver._launcher is not None
        assert stage.driver._launcher.pid is not None
        os.kill(stage.driver._launcher.pid, signal.SIGKILL)
        assert is_put_off((await stage.run(["true"])).outcome)
        assert (await stage.run(["true"], 2)).outcome.kind is OutcomeKind.SUCCESS


async def test_calls_wait_for_what_workers_stand_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.01)
    in_vain(monkeypatch, Launcher, "start", errno.EMFILE, times=2)
    driver, heard = WorkerDriver(tmp_path), Heard()
    await driver.start(heard)
    driver.launch(call_order(tmp_path, 1, call_of("surroundings")))
    assert (await heard.until(Exited, 1)).outcome.kind is OutcomeKind.SUCCESS
    await driver.stop()


async def test_an_engine_ends_though_what_workers_stand_on_cannot_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the calls that waited for it cost nothing."""
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 3_600)
    in_vain(monkeypatch, Launcher, "start", errno.EMFILE, times=ALWAYS)
    driver, heard = WorkerDriver(tmp_path), Heard()
    await driver.start(heard)
    driver.launch(call_order(tmp_path, 1, call_of("surroundings")))
    await asyncio.sleep(0)
    await driver.stop()
    ended = heard.find(Exited, 1)
    assert ended is not None
    assert is_put_off(ended.outcome)


async def test_an_engine_that_starts_is_told_at_once_that_workers_cannot_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says so and ends, instead of coming up for ever."""
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 3_600)
    in_vain(monkeypatch, Launcher, "start", errno.EMFILE)
    (tmp_path / "workers").mkdir()
    driver = WorkerDriver(tmp_path)
    await driver.start(Heard())
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(OSError, match="the want"):
            await driver.reattach_workers([])
        await driver.stop()


async def test_a_call_whose_worker_cannot_begin_is_given_back_with_the_reason(tmp_path: Path, want: Want) -> None:
    want("os.posix_spawn", times=ALWAYS, patience=0)
    driver, heard = WorkerDriver(tmp_path), Heard()
    await driver.start(heard)
    driver.launch(call_order(tmp_path, 1, call_of("surroundings")))
    outcome = (await heard.until(Exited, 1)).outcome
    assert is_put_off(outcome)
    assert outcome.message.endswith("short of processes, memory or descriptors: the want")
    await heard.until(WorkerGone, 1)
    await driver.stop()


def test_a_call_whose_folder_its_worker_cannot_open_now_is_given_back_at_no_cost(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    order = {"cell": 1, "epoch": 1, "name": "one", "directory": str(tmp_path / "1")}
    cell = Cell(order, Standing(7, {}, None), StartRecord(folder, {"worker": 7}))
    with none_left(), pytest.raises(OSError, match="Too many open files") as want:
        cell.claim()
    assert is_put_off(said_outcome(cell.refusal(want.value), tmp_path))
    assert not is_put_off(said_outcome(cell.refusal(PermissionError(errno.EACCES, "")), tmp_path))
    cell.close()
    os.close(folder)


@pytest.mark.parametrize(
    ("number", "limited", "kind"),
    [
        (errno.ENOMEM, True, commands.CannotStartError),
        (errno.ENOMEM, False, OSError),
        (errno.EAGAIN, True, OSError),
        (errno.E2BIG, False, commands.CannotStartError),
    ],
)
def test_memory_that_a_command_may_not_have_is_its_own_want(
    number: int, limited: bool, kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_about: object, **_more: object) -> int:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "posix_spawn", refuse)
    with pytest.raises(kind):
        commands.spawn([b"/bin/true"], {}, out=1, err=2, limited=limited)
