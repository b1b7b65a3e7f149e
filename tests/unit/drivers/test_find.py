"""Which living processes are an attempt's: never those that only have its shim's number, or were there before it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from passloop.drivers.identity import Process, boot_id, ticks_of
from passloop.drivers.processes.strays import find

MINE = "home-1"
NO_PID = 2**22 + 1
"""No process has a number as large as this."""


@pytest.fixture
def bystander() -> Iterator[Process]:
    """A process that leads a session of its own and waits for its input to end."""
    environment = {**os.environ, "PASSLOOP_ATTEMPT_ID": "home-2"}
    waiting = [sys.executable, "-S", "-c", "import sys; sys.stdout.write('up'); sys.stdout.flush(); sys.stdin.read()"]
    with subprocess.Popen(
        waiting, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env=environment
    ) as process:
        assert process.stdout is not None
        assert process.stdout.read(2) == b"up"
        ticks = ticks_of(process.pid)
        assert ticks is not None
        yield Process(process.pid, ticks, boot_id())
        assert process.stdin is not None
        process.stdin.close()
        process.wait(10)


def test_the_session_of_a_shim_is_its_attempts(bystander: Process) -> None:
    assert find(MINE, bystander, None) == [bystander]


def test_a_session_with_the_number_of_a_shim_of_before_a_reboot_is_another_ones(bystander: Process) -> None:
    assert find(MINE, Process(bystander.pid, bystander.ticks, "another boot"), None) == []


def test_a_session_with_the_number_of_a_shim_that_is_gone_is_another_ones(bystander: Process) -> None:
    assert find(MINE, Process(bystander.pid, bystander.ticks - 1, boot_id()), None) == []


def test_what_was_there_before_the_shim_is_not_its_attempts(bystander: Process) -> None:
    assert find("home-2", Process(NO_PID, bystander.ticks, boot_id()), None) == [bystander]
    assert find("home-2", Process(NO_PID, bystander.ticks + 1, boot_id()), None) == []
