"""Reading an attempt's output: the last lines, and growth as it happens."""

from __future__ import annotations

import select
from pathlib import Path

import pytest

from passloop.cli.logfiles import AttemptLogs, attempt_folder, last_lines, pieces
from passloop.store.inotify import CREATED, watcher


@pytest.mark.parametrize(
    ("text", "count", "wanted"),
    [
        (b"", 3, b""),
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc", 2, b"b\nc"),
        (b"a\nb\n", 9, b"a\nb\n"),
        (b"a\n\n\n", 2, b"\n\n"),
        (b"a\nb\n", 0, b""),
        (b"x" * 200_000 + b"\nlast\n", 1, b"last\n"),
        (b"first\n" + b"y" * 200_000, 2, b"first\n" + b"y" * 200_000),
    ],
)
def test_last_lines_are_found_from_the_end(tmp_path: Path, text: bytes, count: int, wanted: bytes) -> None:
    path = tmp_path / "log"
    path.write_bytes(text)
    assert b"".join(last_lines(str(path), count)) == wanted


def test_a_file_that_is_not_there_has_no_output(tmp_path: Path) -> None:
    assert list(pieces(str(tmp_path / "no"))) == []
    assert list(last_lines(str(tmp_path / "no"), 3)) == []


def test_growth_is_written_once_and_noticed_without_looking(tmp_path: Path) -> None:
    written: list[tuple[str, bytes]] = []
    with watcher() as watch:
        logs = AttemptLogs(
            str(tmp_path), watch, lambda stream, data: written.append((stream, data)), streams=("stdout", "stderr")
        )
        logs.pump()
        out = tmp_path / "stdout.log"
        out.write_bytes(b"one\n")
        logs.pump()
        with out.open("ab") as file:
            file.write(b"two\n")
        assert select.select([watch], [], [], 10)[0]
        assert watch.drain()
        (tmp_path / "stderr.log").write_bytes(b"bad\n")
        logs.pump()
        logs.close()
        assert written == [("stdout", b"one\n"), ("stdout", b"two\n"), ("stderr", b"bad\n")]


def test_following_may_begin_at_the_last_lines(tmp_path: Path) -> None:
    (tmp_path / "stdout.log").write_bytes(b"1\n2\n3\n")
    written: list[bytes] = []
    with watcher() as watch:
        logs = AttemptLogs(str(tmp_path), watch, lambda _, data: written.append(data), streams=("stdout",))
        logs.skip_to_last(1)
        logs.pump()
        logs.close()
    assert written == [b"3\n"]


def test_a_log_that_its_task_emptied_is_followed_from_its_new_start(tmp_path: Path) -> None:
    out = tmp_path / "stdout.log"
    out.write_bytes(b"line 1\nline 2\n")
    written: list[bytes] = []
    with watcher() as watch:
        logs = AttemptLogs(str(tmp_path), watch, lambda _, data: written.append(data), streams=("stdout",))
        logs.pump()
        out.write_bytes(b"anew\n")
        assert select.select([watch], [], [], 10)[0]
        logs.pump()
        with out.open("ab") as file:
            file.write(b"more\n")
        logs.pump()
        logs.close()
    assert written == [b"line 1\nline 2\n", b"anew\n", b"more\n"]


@pytest.mark.parametrize("last", [None, 1])
def test_a_log_that_its_task_empties_for_each_line_is_followed_line_by_line(tmp_path: Path, last: int | None) -> None:
    out = tmp_path / "stdout.log"
    out.write_bytes(b"step 1\n")
    written: list[bytes] = []
    with watcher() as watch:
        logs = AttemptLogs(str(tmp_path), watch, lambda _, data: written.append(data), streams=("stdout",))
        if last is not None:
            logs.skip_to_last(last)
        logs.pump()
        for line in (b"step 2\n", b"step 3\n"):
            out.write_bytes(line)
            logs.pump()
        logs.pump()
        logs.close()
    assert written == [b"step 1\n", b"step 2\n", b"step 3\n"]


def test_watcher_tells_names_in_a_folder_and_is_empty_otherwise(tmp_path: Path) -> None:
    with watcher() as watch:
        number = watch.add(str(tmp_path), CREATED)
        assert watch.drain() == []
        (tmp_path / "socket").touch()
        assert (number, "socket") in watch.drain()
        watch.remove(number)
        with pytest.raises(OSError, match="nowhere"):
            watch.add(str(tmp_path / "nowhere"), CREATED)


def test_folder_of_an_attempt() -> None:
    assert attempt_folder("/h", 1, 2, 3) == "/h/runs/1/2/3"
