"""The breaker also counts cells that were killed from outside, which could not count themselves; and who comes again
clears it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from passloop.apps.bench.breaker_log import BreakerLine, BreakerLog, Noted
from passloop.apps.bench.cell_run import CellEnd
from passloop.apps.bench.matrix import Cell, Matrix
from passloop.apps.bench.session import Session
from passloop.clock import FakeClock
from tests.unit.apps.bench.places import FAKE, matrix_of_text, names_of, order_of, run_one

KILLED = {"state": "failed", "outcome": "timeout", "message": "stopped at its time limit"}


class Start:
    """One start of the matrix."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.matrix: Matrix = matrix_of_text(FAKE, folder)
        self.session = Session(self.matrix, clock=FakeClock())
        self.cells: list[Cell] = [cell for cell in self.matrix.cells() if cell.names.model == "a"]

    def killed(self, place: int, **said: Any) -> None:
        """The cell at this place failed as task of the same number, and is told of."""
        cell = self.cells[place]
        self.session.blame({**KILLED, "id": place, "params": {**names_of(cell), "cell": cell.hash}, **said})

    def run(self, place: int, *, task: int) -> CellEnd:
        order = order_of(self.matrix, self.cells[place], self.session.invocation)
        return run_one(order, self.folder / "out", task=task)


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return Start(tmp_path)


def test_a_model_whose_cells_are_killed_is_taken_out(start: Start) -> None:
    for place in (0, 1, 3):
        start.killed(place)
    assert start.run(4, task=9).skipped == "the model a is taken out: 3 different cells of it failed"


def test_a_failure_is_counted_once_and_a_cell_that_was_spared_not_at_all(start: Start) -> None:
    for place in (0, 3, 3, 0):
        start.killed(place, outcome="failure", message="bug (run): it broke")
    start.killed(2, message="skipped: the model a is taken out")
    assert start.run(4, task=9).metrics is not None


def test_a_last_try_that_its_cell_did_not_know_to_be_one_is_counted(start: Start) -> None:
    for place in (0, 1, 3):
        start.killed(place, outcome="out_of_memory", message="run_oom (run): no room")
    assert start.run(4, task=9).skipped


def test_what_speaks_against_no_model_takes_none_out(start: Start) -> None:
    for place in (0, 1, 3):
        start.killed(place, outcome="device_fault", message="Xid 79")
    assert start.run(4, task=9).metrics is not None


def test_a_killed_cell_that_comes_again_as_another_task_clears_the_breaker(start: Start) -> None:
    for place in (0, 1, 3):
        start.killed(place)
    assert start.run(0, task=9).metrics is not None
    assert start.run(4, task=10).metrics is not None


def test_another_start_of_the_spec_begins_with_a_breaker_of_its_own(start: Start, tmp_path: Path) -> None:
    for place in (0, 1, 3):
        start.killed(place)
    again = Start(tmp_path)
    again.session = Session(again.matrix, clock=FakeClock(1))
    assert again.run(4, task=9).metrics is not None


def test_cells_that_are_skipped_add_nothing_to_what_every_cell_reads(start: Start) -> None:
    for place in (0, 1, 3):
        start.killed(place)
    log = Path(start.session.invocation.log)
    before = log.read_bytes()
    assert [bool(start.run(place, task=9 + place).skipped) for place in (4, 5, 4, 5)] == [True] * 4
    assert log.read_bytes() == before


def test_a_skipped_cell_that_comes_again_as_another_task_clears_the_breaker_once(start: Start) -> None:
    for place in (0, 1, 3):
        start.killed(place)
    assert [bool(start.run(place, task=task).skipped) for place, task in [(4, 9), (5, 10), (4, 9)]] == [True] * 3
    assert start.run(4, task=19).metrics is not None
    for place in (0, 1, 3):
        start.killed(place)
    assert start.run(5, task=20).skipped
    assert start.run(5, task=21).metrics is not None


def test_a_cell_that_another_start_skipped_does_not_clear_the_breaker_of_this_one(start: Start, tmp_path: Path) -> None:
    for place in (0, 1, 3):
        start.killed(place)
    assert start.run(4, task=9).skipped
    again = Start(tmp_path)
    again.session = Session(again.matrix, clock=FakeClock(1))
    for place in (0, 1, 3):
        again.killed(place)
    assert again.run(4, task=19).skipped


def line_of(number: int) -> BreakerLine:
    sort = "cleared" if number == 20 else "succeeded" if number % 7 == 0 else "failed"
    return BreakerLine(sort, cell=f"c{number}", task=number, model=f"m{number % 2}", devices=(f"GPU-{number % 3}",))


def told(noted: Noted) -> tuple[Any, ...]:
    return noted.clears, noted.tasks, noted.of_model, noted.of_device


def test_a_log_that_grows_in_any_pieces_says_what_it_says_read_whole(tmp_path: Path) -> None:
    whole = BreakerLog(tmp_path / "whole")
    for number in range(1, 40):
        whole.append(line_of(number))
    data = whole.path.read_bytes().replace(b'"failed","cell":"c33"', b'"fail')
    for size in (1, 7, 100, 1000):
        pieces = BreakerLog(tmp_path / f"{size}")
        for at in range(0, len(data), size):
            with pieces.path.open("ab") as file:
                file.write(data[at : at + size])
            pieces.noted()
        assert told(pieces.noted()) == told(BreakerLog(pieces.path).noted())
        assert "c33" not in pieces.noted().tasks
    assert told(whole.noted())[0] == 1


def test_a_process_reads_no_line_twice_unless_the_file_is_another(tmp_path: Path) -> None:
    """What it has read is made unreadable behind its back."""
    log = BreakerLog(tmp_path / "log")
    log.append(line_of(1))
    assert log.noted().tasks == {"c1": {1}}
    with log.path.open("r+b") as file:
        file.write(b" " * log.path.stat().st_size)
    log.append(line_of(2))
    assert log.noted().tasks == {"c1": {1}, "c2": {2}}
    log.path.unlink()
    assert log.noted().tasks == {}
    log.append(line_of(3))
    assert log.noted().tasks == {"c3": {3}}
