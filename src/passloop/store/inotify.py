"""Waiting for files of a home to change, by inotify through libc. Nothing here reads the files or polls them."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

__all__ = ["CREATED", "DELETED", "MODIFIED", "RELEASED", "FileEvent", "Watcher", "watcher"]

MODIFIED = 0x2
CREATED = 0x100 | 0x80 | 0x4
DELETED = 0x200
RELEASED = 0x8
"""A file that was open for writing was closed: how the lock of a home is let go."""
_HEAD = struct.Struct("iIII")
_NONBLOCK = os.O_NONBLOCK | os.O_CLOEXEC


class FileEvent(NamedTuple):
    """Which watch fired, and the file's name when a folder is watched."""

    watch: int
    name: str


class Watcher:
    """One inotify instance; `fileno` is readable when something happened."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.inotify_init1(_NONBLOCK)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "inotify_init1 failed: fs.inotify.max_user_instances is reached")

    def fileno(self) -> int:
        """The descriptor, for `select`."""
        return int(self._fd)

    def add(self, path: str, mask: int) -> int:
        """Watch a file or folder; returns the watch's number."""
        watch = self._libc.inotify_add_watch(self._fd, os.fsencode(path), mask)
        if watch < 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
        return int(watch)

    def remove(self, watch: int) -> None:
        """Stop watching; a watch that is gone already is no error."""
        self._libc.inotify_rm_watch(self._fd, watch)

    def drain(self) -> list[FileEvent]:
        """What has happened since the last call; empty when nothing has."""
        try:
            data = os.read(self._fd, 65_536)
        except BlockingIOError:
            return []
        return list(_parsed(data))

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self._fd)


@contextmanager
def watcher() -> Iterator[Watcher]:
    """A watcher that is closed at the end."""
    opened = Watcher()
    try:
        yield opened
    finally:
        opened.close()


def _parsed(data: bytes) -> Iterator[FileEvent]:
    at = 0
    while at < len(data):
        watch, _mask, _cookie, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        yield FileEvent(watch, os.fsdecode(data[at : at + length].rstrip(b"\0")))
        at += length
