"""What is left behind by engines and tasks: the store and the tasks' own record, and the questions asked of both.

It reads and judges; it starts and ends nothing. Its questions are those of the promises: each is named after one.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Container, Mapping
from pathlib import Path
from typing import NamedTuple

from passloop.engine.attempts import attempt_name
from passloop.kernel.tasks import AttemptRow, OutcomeKind, TaskRow
from passloop.store.home import Home
from passloop.store.integrity import check_home
from passloop.store.reader import Reader

__all__ = ["Evidence", "Line"]

FINAL = ("succeeded", "failed", "cancelled", "aborted", "rejected")


class Line(NamedTuple):
    """What an attempt said of itself: `what` is start or end, `at` monotonic ns. `status` is the exit code with which
    it is going to end, or minus a signal's number; None where it begins.
    """

    what: str
    task: int
    epoch: int
    name: str
    pid: int
    ticks: int
    at: int
    alone: bool
    gpus: tuple[str, ...]
    status: int | None = None


class Evidence:
    """The store in `home`, and the record that tasks wrote into `folder`."""

    def __init__(self, home: Home, folder: Path) -> None:
        self.home = home
        self.folder = folder

    def lines(self) -> list[Line]:
        """The record so far. A line that is not whole is a test's mistake, for each was one write."""
        return [_line(words.split()) for words in (self.folder / "record").read_text().splitlines()]

    def ledger(self) -> dict[int, tuple[TaskRow, list[AttemptRow]]]:
        """Every task with its attempts, as stored."""
        with Reader.open(self.home) as reader:
            return {one.row.id: (one.row, reader.attempts(one.row.id)) for one in reader.tasks()}

    def open_tasks(self) -> list[tuple[int, str]]:
        """Tasks that are not final, with their states, for a failing test to show."""
        with Reader.open(self.home) as reader:
            return [(one.row.id, str(one.row.state)) for one in reader.tasks() if str(one.row.state) not in FINAL]

    def living(self) -> list[int]:
        """Processes that carry the name of an attempt of this home."""
        prefix = f"PASSLOOP_ATTEMPT_ID={self.home_id()}-".encode()
        return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _carries(pid, prefix)]

    def home_id(self) -> str:
        """What the names of this home's attempts begin with."""
        query = "SELECT value FROM meta WHERE name = 'home_id'"
        with Reader.open(self.home) as reader:
            return str(reader._connection.execute(query).get)

    def assert_p01_nothing_acknowledged_is_lost(self, acknowledged: Mapping[int, str | None]) -> None:
        """Each acknowledged task is there, with its key, and none was made twice."""
        ledger = self.ledger()
        lost = [task for task in acknowledged if task not in ledger]
        assert not lost, f"lost: {lost}"
        for task, key in acknowledged.items():
            assert ledger[task][0].key == key
        keys = Counter(row.key for row, _ in ledger.values() if row.key is not None)
        assert not [key for key, count in keys.items() if count > 1]

    def assert_p02_no_committed_attempt_runs_again(self) -> None:
        """Every process is one attempt of the ledger, by number and by name; no attempt began twice or was two
        processes; none follows a success.
        """
        ledger, home_id, lines = self.ledger(), self.home_id(), self.lines()
        starts = Counter((line.task, line.epoch) for line in lines if line.what == "start")
        assert not [pair for pair, count in starts.items() if count > 1], "an attempt ran twice"
        who: dict[tuple[int, int], tuple[int, int]] = {}
        for line in lines:
            row, attempts = ledger[line.task]
            assert line.epoch <= row.attempts, f"attempt {line.epoch} of task {line.task} ran and is not in the ledger"
            assert [one.epoch for one in attempts] == list(range(1, row.attempts + 1))
            assert line.name == attempt_name(home_id, attempts[line.epoch - 1].id), f"the ledger knows no {line}"
            process = line.pid, line.ticks
            assert who.setdefault((line.task, line.epoch), process) == process, f"another process said {line}"
        for task, (_, attempts) in ledger.items():
            for one in attempts[:-1]:
                assert one.outcome is None or one.outcome.kind is not OutcomeKind.SUCCESS, f"task {task} ran again"

    def assert_p03_at_most_one_live_attempt_per_task(self) -> None:
        """No attempt found another one alive, and each began after the last word of each one before it. Who was killed
        said no end: of it the lock says whether it lived, and the clock that it began before.
        """
        lines = self.lines()
        assert all(line.alone for line in lines), [line for line in lines if not line.alone]
        last: dict[int, dict[int, int]] = {}
        for line in lines:
            said = last.setdefault(line.task, {})
            said[line.epoch] = max(said.get(line.epoch, 0), line.at)
        for line in lines:
            if line.what == "start":
                over = {epoch: at for epoch, at in last[line.task].items() if epoch < line.epoch}
                assert line.at >= max(over.values(), default=0), f"{line} began before an end: {over}"

    def assert_p04_no_device_was_held_twice(self) -> None:
        """No attempt began on a device before the end of another one. Who said no end has held it ever since."""
        held: dict[str, Line] = {}
        for line in self.lines():
            for uuid in line.gpus:
                if line.what == "start":
                    assert uuid not in held, f"{uuid} is held by {held[uuid]} and by {line}"
                    held[uuid] = line
                else:
                    del held[uuid]

    def assert_p05_what_ran_was_seen_to_its_end(self, asked: Container[int] = ()) -> None:
        """An attempt whose command ran has the outcome that this command had, whoever was dead meanwhile, and is never
        taken for lost. Who was told to end, or killed, was cancelled; of the others those alone that are `asked` to.
        """
        ledger = self.ledger()
        for line in {(line.task, line.epoch): line for line in self.lines()}.values():
            outcome = ledger[line.task][1][line.epoch - 1].outcome
            assert outcome is not None, line
            if line.status is None or line.status < 0:
                assert outcome.kind is OutcomeKind.CANCELLED, (line, outcome)
            elif outcome.kind is OutcomeKind.CANCELLED:
                assert line.task in asked, (line, outcome)
            else:
                kind = OutcomeKind.FAILURE if line.status else OutcomeKind.SUCCESS
                assert (outcome.kind, outcome.exit_code) == (kind, line.status), (line, outcome)

    def assert_whole_and_nobody_lives(self) -> None:
        """No process of an attempt is there, and the store is whole, with an engine or without."""
        assert self.living() == []
        check_home(self.home)


def _line(words: list[str]) -> Line:
    what, task, epoch, name, pid, ticks, at, alone, gpus, status = words
    uuids = () if gpus == "-" else tuple(gpus.split(","))
    known = None if status == "-" else int(status)
    return Line(what, int(task), int(epoch), name, int(pid), int(ticks), int(at), alone == "1", uuids, known)


def _carries(pid: int, prefix: bytes) -> bool:
    try:
        return prefix in Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return False
