"""What records say counts for the attempt that they name, wherever they lie; a shim is watched for the one under it."""

from __future__ import annotations

import json
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from passloop.drivers.identity import boot_id, ticks_of
from passloop.drivers.processes.keeper.records import EXIT_FILE, START_FILE, sealed
from passloop.drivers.processes.reattach import Finding, look
from passloop.kernel.events import Exited, Started
from passloop.kernel.tasks import OutcomeKind
from tests.support.attempts import Stage, live_of, order_for


def write(folder: Path, file: bytes, **fields: object) -> None:
    (folder / os.fsdecode(file)).write_bytes(sealed(json.dumps(fields).encode()))


def write_start(folder: Path, name: str) -> None:
    """A start record of a process that lives: this one."""
    pid = os.getpid()
    write(folder, START_FILE, name=name, pid=pid, ticks=ticks_of(pid), boot=boot_id())


def test_a_living_process_of_another_attempt_is_not_this_ones(tmp_path: Path) -> None:
    write_start(tmp_path, "mine")
    assert look(tmp_path, "mine").alive
    found = look(tmp_path, "another")
    assert (found.process, found.alive) == (None, False)
    assert found.outcome is not None
    assert found.outcome.kind is OutcomeKind.LOST


def test_the_end_of_another_attempt_is_not_this_ones(tmp_path: Path) -> None:
    write_start(tmp_path, "mine")
    write(tmp_path, EXIT_FILE, name="another", kind="success", exit_code=0)
    found = look(tmp_path, "mine")
    assert (found.alive, found.outcome, found.recorded) == (True, None, False)
    write(tmp_path, EXIT_FILE, name="mine", kind="success", exit_code=0)
    assert look(tmp_path, "mine").recorded


def test_two_that_look_at_one_attempt_at_once_both_find_that_it_never_began(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, found = os.link, list[Finding]()

    def link(*about: Any) -> None:
        if not found:
            found.append(Finding())
            other = threading.Thread(target=lambda: found.append(look(tmp_path, "one")))
            other.start()
            other.join()
        real(*about)

    monkeypatch.setattr(os, "link", link)
    found.append(look(tmp_path, "one"))
    outcomes = [(each.outcome and each.outcome.message, each.error, each.begun) for each in found[1:]]
    assert outcomes == [("never started", None, False)] * 2


class TestTwoOfOneShim:
    """Attempt 1 has ended, and its shim stands over attempt 2; an engine comes up before it could store that."""

    @pytest.fixture
    async def stage(self, tmp_path: Path) -> AsyncIterator[Stage]:
        """Attempt 2 runs; attempt 1 has the start record that the same shim made, and no end yet."""
        async with Stage(tmp_path) as stage:
            stage.launch(["sleep", "600"], 2)
            shim = json.loads((await stage.heard.until(Started, 2)).process)
            ended = order_for(tmp_path, 1, ["true"])
            ended.directory.mkdir(parents=True)
            write(ended.directory, START_FILE, name=ended.name, **shim)
            await stage.renew()
            self.ended, self.shim = ended, shim["pid"]
            self.end = {"name": ended.name, "kind": "success", "exit_code": 0}
            yield stage

    async def assert_the_shims_death_ends_the_second(self, stage: Stage) -> None:
        assert stage.heard.of(1) == ["Started", "Exited"]
        assert stage.heard.of(2) == ["Started"]
        os.kill(self.shim, signal.SIGKILL)
        assert (await stage.ended(2)).outcome.kind is OutcomeKind.LOST

    async def test_one_whose_end_is_recorded_takes_no_shim_from_the_next(self, stage: Stage) -> None:
        write(self.ended.directory, EXIT_FILE, **self.end)
        await stage.reattach(2, state="admitted")
        await stage.driver.reattach([live_of(self.ended, state="admitted")])
        await self.assert_the_shims_death_ends_the_second(stage)

    async def test_an_end_that_is_told_after_the_next_began_leaves_that_ones_shim_watched(self, stage: Stage) -> None:
        await stage.driver.reattach([live_of(self.ended, state="admitted")])
        await stage.reattach(2, state="admitted")
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"exited\n" + json.dumps(self.end | {"attempt": 1}).encode(), str(stage.home / "reports"))
        await stage.heard.until(Exited, 1)
        await self.assert_the_shims_death_ends_the_second(stage)
