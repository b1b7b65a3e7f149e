"""Start records of a worker's cells: links to one file, which refuse an existing name, whatever becomes of it."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from passloop.drivers.processes.keeper import records
from passloop.drivers.processes.reattach import look
from passloop.drivers.workers.cell import _leave_word
from passloop.drivers.workers.claims import StartRecord
from passloop.drivers.workers.endings import worker_of

FIELDS: dict[str, str | int] = {"worker": 7, "pid": 1, "ticks": 2, "boot": "b"}


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    """The worker's folder, open."""
    (tmp_path / "worker").mkdir()
    fd = os.open(tmp_path / "worker", os.O_RDONLY)
    yield fd
    os.close(fd)


def claimed(starts: StartRecord, cell: Path) -> bool:
    """Whether the start record of a cell in this folder could be made."""
    cell.mkdir(exist_ok=True)
    fd = os.open(cell, os.O_RDONLY)
    try:
        return starts.claim(fd)
    finally:
        os.close(fd)


def test_cells_of_a_worker_share_one_file_that_names_it(folder: int, tmp_path: Path) -> None:
    starts = StartRecord(folder, FIELDS)
    cells = [tmp_path / "a", tmp_path / "b"]
    assert [claimed(starts, cell) for cell in cells] == [True, True]
    assert [worker_of(cell) for cell in cells] == [7, 7]
    assert os.path.samefile(cells[0] / "start.json", cells[1] / "start.json")
    assert look(cells[0], "any").begun


def test_a_cell_is_claimed_once(folder: int, tmp_path: Path) -> None:
    starts = StartRecord(folder, FIELDS)
    assert [claimed(starts, tmp_path / "a") for _ in range(2)] == [True, False]


def test_a_tombstone_forbids_the_start(folder: int, tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    assert not look(tmp_path / "a", "name").begun
    assert not claimed(StartRecord(folder, FIELDS), tmp_path / "a")
    assert not look(tmp_path / "a", "name").begun


def test_a_file_with_all_the_links_it_can_have_is_followed_by_another(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts = StartRecord(folder, FIELDS)
    assert claimed(starts, tmp_path / "a")
    with monkeypatch.context() as patch:
        patch.setattr(os, "link", _refuse)
        assert claimed(starts, tmp_path / "b")
        assert not claimed(starts, tmp_path / "a")
    assert claimed(starts, tmp_path / "c")
    told = {cell: json.loads((tmp_path / cell / "start.json").read_bytes())["worker"] for cell in "abc"}
    assert told == dict.fromkeys("abc", 7)
    assert not os.path.samefile(tmp_path / "a" / "start.json", tmp_path / "c" / "start.json")
    assert records.unsealed((tmp_path / "a" / "start.json").read_bytes()) is not None


def test_a_word_that_a_cell_left_itself_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    _leave_word(tmp_path, {"outcome": "out_of_memory", "message": "its own"})
    _leave_word(tmp_path, {"outcome": "out_of_memory", "message": "MemoryError"})
    assert json.loads((tmp_path / "out" / "outcome.json").read_text())["message"] == "its own"


def _refuse(*_: object, **__: object) -> None:
    raise OSError(errno.EMLINK, os.strerror(errno.EMLINK))
