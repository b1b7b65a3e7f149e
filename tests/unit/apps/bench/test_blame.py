"""The breaker also counts cells that were killed from outside, which could not count themselves; and who comes again
clears it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

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
