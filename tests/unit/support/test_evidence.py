"""The judge of P4 takes an attempt at its word for its end, and for nothing less: who said none has its devices."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from passloop.store.home import Home
from tests.support.evidence import Evidence
from tests.support.killing import worker

ENVIRON = {"PASSLOOP_TASK_ID": "1", "PASSLOOP_ATTEMPT": "1", "PASSLOOP_ATTEMPT_ID": "home-1", "PASSLOOP_GPUS": "a,b"}


def judged(folder: Path, *said: str) -> None:
    """Judge a record: what, which task, and on which devices."""
    lines = (f"{what} {task} 1 name 10 20 30 1 {gpus}\n" for what, task, gpus in map(str.split, said))
    (folder / "record").write_text("".join(lines))
    Evidence(Home(folder / "home"), folder).assert_p04_no_device_was_held_twice()


def test_devices_that_are_given_on_after_an_end_were_not_held_twice(tmp_path: Path) -> None:
    judged(tmp_path, "start 1 a,b", "start 2 c", "end 1 a,b", "start 3 b", "end 2 c", "start 4 a,c", "start 5 -")


@pytest.mark.parametrize("after", [["end 2 a", "end 1 a,b"], ["end 2 a"], ["end 1 a,b"], []])
def test_a_device_that_two_began_on_was_held_twice_whoever_of_them_said_an_end(
    tmp_path: Path, after: list[str]
) -> None:
    with pytest.raises(AssertionError, match=r"a is held by Line.*task=1, .* and by Line.*task=2, "):
        judged(tmp_path, "start 1 a,b", "start 2 a", *after)


@pytest.mark.parametrize("work", ["gate", "60000"])
def test_a_recording_task_that_is_told_to_end_says_its_end_and_dies_of_it(tmp_path: Path, work: str) -> None:
    for pipe in ("gate", "record"):
        os.mkfifo(tmp_path / pipe)
    gate = os.open(tmp_path / "gate", os.O_RDWR | os.O_NONBLOCK)
    with subprocess.Popen(worker(tmp_path, work), env=ENVIRON) as task, (tmp_path / "record").open() as record:
        start = record.readline().split()
        task.send_signal(signal.SIGTERM)
        end = record.readline().split()
        assert task.wait(30) == -signal.SIGTERM
    os.close(gate)
    assert (start[0], end[0]) == ("start", "end")
    assert start[1:6] + start[7:] == end[1:6] + end[7:]
    assert end[-1] == "a,b"
