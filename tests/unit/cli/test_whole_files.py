"""Files that a user names are written whole or stay as they were: a full disk, a kill, links, pipes, modes."""

from __future__ import annotations

import os
import signal
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from passloop.cli import tune_results
from passloop.cli.exits import CliError
from passloop.cli.verbs import export, report
from passloop.cli.whole_files import whole_file, write_whole_text
from tests.support.file_sizes import files_up_to

LONG = "x" * 100_000
WRITERS: list[Callable[[Path], object]] = [
    lambda path: report._write(LONG, path),
    lambda path: export._to_file(str(path), lambda file: file.write(LONG.encode())),
    lambda path: tune_results._written(path, LONG.encode(), "passloop export --out FILE"),
]


@pytest.mark.parametrize("write", WRITERS, ids=["report", "export", "study"])
def test_a_disk_that_is_full_leaves_the_file_that_was_there(tmp_path: Path, write: Callable[[Path], object]) -> None:
    path = tmp_path / "out.csv"
    path.write_text("of yesterday")
    with files_up_to(50_000), pytest.raises(CliError, match="cannot be written"):
        write(path)
    assert path.read_text() == "of yesterday"
    assert os.listdir(tmp_path) == ["out.csv"]


def test_a_kill_in_the_middle_leaves_the_file_that_was_there(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("of yesterday")
    child = os.fork()
    if child == 0:
        with whole_file(path) as file:
            file.write(b"half")
            file.flush()
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert path.read_text() == "of yesterday"


def test_a_file_keeps_its_mode_and_a_link_stays_one(tmp_path: Path) -> None:
    real, link = tmp_path / "real", tmp_path / "link"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    write_whole_text(link, "new \ud800")
    assert link.is_symlink()
    assert real.read_text() == "new ?"
    assert stat.S_IMODE(real.stat().st_mode) == 0o640


def test_a_new_file_has_the_mode_that_the_user_wants(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_whole_text(tmp_path / "new", "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o640


def test_what_is_no_plain_file_is_written_as_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_whole_text(pipe, "through")
        assert os.read(reading, 100) == b"through"
    finally:
        os.close(reading)
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    with pytest.raises(IsADirectoryError):
        write_whole_text(tmp_path, "text")
