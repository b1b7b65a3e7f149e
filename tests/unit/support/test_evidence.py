"""The judges of what tasks said of themselves. Who said no end has its devices (P4); and what P2, P3 and P5 forbid in a
record beside the rows of a store is found.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from passloop.kernel.tasks import AttemptRow, Outcome, OutcomeKind, TaskRow
from passloop.store.home import Home
from tests.support.evidence import Evidence
from tests.support.killing import worker
from tests.support.store_rows import a_task, an_attempt

ENVIRON = {"PASSLOOP_TASK_ID": "1", "PASSLOOP_ATTEMPT": "1", "PASSLOOP_ATTEMPT_ID": "home-1", "PASSLOOP_GPUS": "a,b"}


def judged(folder: Path, *said: str) -> None:
    """Judge a record: what, which task, and on which devices."""
    lines = (f"{what} {task} 1 name 10 20 30 1 {gpus} -\n" for what, task, gpus in map(str.split, said))
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
    assert start[1:6] + start[7:-1] == end[1:6] + end[7:-1]
    assert end[-2:] == ["a,b", "-15"]


class Told(Evidence):
    """A record beside a ledger of one task, whose attempts ended so."""

    def __init__(self, folder: Path, lines: list[str], *kinds: Outcome) -> None:
        super().__init__(Home(folder / "home"), folder)
        (folder / "record").write_text("".join(f"{line}\n" for line in lines))
        self._kinds = kinds

    def ledger(self) -> dict[int, tuple[TaskRow, list[AttemptRow]]]:
        ends = enumerate(self._kinds, start=1)
        attempts = [an_attempt(70 + epoch, task=1, epoch=epoch, outcome=outcome) for epoch, outcome in ends]
        return {1: (a_task(attempts=len(attempts)), attempts)}

    def home_id(self) -> str:
        return "home"


def said(what: str, epoch: int, at: int, **other: object) -> str:
    """A line of task 1."""
    words = {"name": f"home-{70 + epoch}", "pid": epoch, "ticks": 20, "at": at, "alone": 1, "gpus": "-"}
    words["status"] = 0 if what == "end" else "-"
    return " ".join(map(str, (what, 1, epoch, *(words | other).values())))


SUCCESS = Outcome(OutcomeKind.SUCCESS, exit_code=0)
FAILURE = Outcome(OutcomeKind.FAILURE, exit_code=3)
CANCELLED = Outcome(OutcomeKind.CANCELLED)
LOST = Outcome(OutcomeKind.LOST)
TWICE = [said("start", 1, 10), said("end", 1, 20, status=3), said("start", 2, 30), said("end", 2, 40)]


def test_a_record_of_a_task_that_failed_and_was_tried_again_breaks_nothing(tmp_path: Path) -> None:
    told = Told(tmp_path, TWICE, FAILURE, SUCCESS)
    told.assert_p02_no_committed_attempt_runs_again()
    told.assert_p03_at_most_one_live_attempt_per_task()
    told.assert_p05_what_ran_was_seen_to_its_end()


@pytest.mark.parametrize(
    ("lines", "outcomes", "wrong"),
    [
        ([*TWICE, said("start", 2, 50)], (FAILURE, SUCCESS), "ran twice"),
        (TWICE, (FAILURE,), "is not in the ledger"),
        (TWICE, (SUCCESS, SUCCESS), "ran again"),
        ([said("start", 1, 10, name="home-99")], (SUCCESS,), "the ledger knows no"),
        ([said("start", 1, 10), said("end", 1, 20, pid=99)], (SUCCESS,), "another process said"),
        ([said("start", 1, 10), said("end", 1, 20, ticks=21)], (SUCCESS,), "another process said"),
    ],
)
def test_an_attempt_that_ran_again_or_that_nobody_recorded_is_found(
    tmp_path: Path, lines: list[str], outcomes: tuple[Outcome, ...], wrong: str
) -> None:
    with pytest.raises(AssertionError, match=wrong):
        Told(tmp_path, lines, *outcomes).assert_p02_no_committed_attempt_runs_again()


@pytest.mark.parametrize(
    "lines",
    [
        [said("start", 1, 10), said("start", 2, 30), said("end", 2, 40), said("end", 1, 50)],
        [said("start", 1, 10), said("start", 2, 30), said("end", 1, 31)],
        [said("start", 2, 5), said("start", 1, 10)],
        [said("start", 1, 10), said("start", 2, 30, alone=0)],
    ],
)
def test_two_attempts_of_a_task_that_lived_at_once_are_found_by_their_words(tmp_path: Path, lines: list[str]) -> None:
    with pytest.raises(AssertionError):
        Told(tmp_path, lines).assert_p03_at_most_one_live_attempt_per_task()


@pytest.mark.parametrize(
    ("status", "outcome", "is_right"),
    [
        (0, SUCCESS, True),
        (3, FAILURE, True),
        (-15, CANCELLED, True),
        (0, FAILURE, False),
        (3, SUCCESS, False),
        (4, FAILURE, False),
        (0, CANCELLED, False),
        (-15, SUCCESS, False),
        (0, LOST, False),
        (None, LOST, False),
        (None, SUCCESS, False),
        (None, CANCELLED, True),
    ],
)
def test_an_outcome_that_is_not_that_of_the_command_is_found(
    tmp_path: Path, status: int | None, outcome: Outcome, is_right: bool
) -> None:
    lines = [said("start", 1, 10), *([said("end", 1, 20, status=status)] if status is not None else [])]
    told = Told(tmp_path, lines, outcome)
    if is_right:
        told.assert_p05_what_ran_was_seen_to_its_end()
    else:
        with pytest.raises(AssertionError):
            told.assert_p05_what_ran_was_seen_to_its_end()
    if (status, outcome) == (0, CANCELLED):
        told.assert_p05_what_ran_was_seen_to_its_end(asked={1})
