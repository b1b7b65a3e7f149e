"""The output of an attempt, read from its files: whole, the last lines, or as it grows. It never waits by itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from io import FileIO

from passloop.store.inotify import MODIFIED, Watcher

__all__ = ["STREAMS", "AttemptLogs", "attempt_folder", "last_lines", "open_plain", "pieces"]

STREAMS = ("stdout", "stderr")
Write = Callable[[str, bytes], None]
_PIECE = 1 << 16
_BEGINNING = 256
"""Bytes by which a log that was emptied, and is as long again, is told from the one that was read."""


def attempt_folder(home: str, run: int, task: int, attempt: int) -> str:
    """Where an attempt's files lie."""
    return os.path.join(home, "runs", str(run), str(task), str(attempt))


def open_plain(path: str) -> FileIO:
    """An attempt's own file, unbuffered. Raises FileNotFoundError for a link or a pipe that it put in its place."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise FileNotFoundError(path) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(path)
    return FileIO(descriptor)


def pieces(path: str) -> Iterator[bytes]:
    """A file's content in pieces; nothing if there is no such file."""
    try:
        with open_plain(path) as file:
            yield from iter(lambda: file.read(_PIECE), b"")
    except FileNotFoundError:
        return


def last_lines(path: str, count: int) -> Iterator[bytes]:
    """The last `count` lines of a file, read from its end."""
    try:
        with open_plain(path) as file:
            file.seek(_start_of_last(file, count))
            yield from iter(lambda: file.read(_PIECE), b"")
    except FileNotFoundError:
        return


def _start_of_last(file: FileIO, count: int) -> int:
    at = file.seek(0, os.SEEK_END)
    if count <= 0:
        return at
    left = count
    first = True
    while at > 0:
        size = min(_PIECE, at)
        file.seek(at - size)
        block = file.read(size)
        end = len(block) - 1 if first and block.endswith(b"\n") else len(block)
        first = False
        while (found := block.rfind(b"\n", 0, end)) >= 0:
            left -= 1
            if left == 0:
                return at - size + found + 1
            end = found
        at -= size
    return 0


def _is_emptied(file: FileIO, beginning: bytes) -> bool:
    """Whether it is shorter than what was read of it, or begins otherwise."""
    number = file.fileno()
    return os.fstat(number).st_size < file.tell() or os.pread(number, len(beginning), 0) != beginning


class AttemptLogs:
    """The growing output of one attempt. `pump` writes what is new; the watcher tells when there is more."""

    def __init__(self, folder: str, watcher: Watcher, write: Write, *, streams: tuple[str, ...]) -> None:
        self._folder = folder
        self._watcher = watcher
        self._write = write
        self._wanted = list(streams)
        self._open: dict[str, tuple[FileIO, int]] = {}
        self._beginnings: dict[str, bytes] = {}

    def skip_to_last(self, lines: int) -> None:
        """Begin with the last `lines` lines of what is there now."""
        self._open_files()
        for stream, (file, _) in self._open.items():
            place = file.seek(_start_of_last(file, lines))
            self._beginnings[stream] = os.pread(file.fileno(), min(_BEGINNING, place), 0)

    def pump(self) -> None:
        """Write everything that has not been written yet. A log that its task emptied (`> /dev/stderr` opens it anew)
        begins again, as `tail -F` has it.
        """
        self._open_files()
        for stream, (file, _) in self._open.items():
            beginning = self._beginnings.get(stream, b"")
            if _is_emptied(file, beginning):
                file.seek(0)
                beginning = b""
            while piece := file.read(_PIECE):
                if file.tell() - len(piece) == len(beginning):
                    beginning = (beginning + piece)[:_BEGINNING]
                self._write(stream, piece)
            self._beginnings[stream] = beginning

    def close(self) -> None:
        """Stop watching."""
        for file, watch in self._open.values():
            self._watcher.remove(watch)
            file.close()
        self._open.clear()

    def _open_files(self) -> None:
        for stream in list(self._wanted):
            path = os.path.join(self._folder, f"{stream}.log")
            try:
                file = open_plain(path)
            except FileNotFoundError:
                continue
            self._open[stream] = (file, self._watcher.add(path, MODIFIED))
            self._wanted.remove(stream)
