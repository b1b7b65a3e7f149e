"""A folder that remembers every write, name and sync of the keeper's records, and shows what a power cut may leave.

It stands in for `os` in `keeper.records`: everything is done as told and written down besides. Of what was not synced
any subset may be there: each sector of data, each length, each name, whatever their order.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

__all__ = ["RecordedFolder"]

SECTOR = 512


@dataclass(slots=True)
class _Inode:
    """A file: what is surely on the disk, and what was done to it since."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[Callable[[bytearray], None]] = field(default_factory=list)

    def left(self, choice: Random, chance: float) -> bytes:
        content = bytearray(self.synced)
        for change in self.pending:
            if choice.random() < chance:
                change(content)
        return bytes(content)


class RecordedFolder:
    """Everything of `os` that the records use; what it does not know is done and not remembered."""

    def __init__(self) -> None:
        self._inodes: dict[int, _Inode] = {}
        self._open: dict[int, int] = {}
        self._names: dict[bytes, int] = {}
        self._pending_names: list[tuple[bytes | None, bytes | None, int]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, name: bytes, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        """Open a file; a new one has no name on the disk yet."""
        there = os.path.exists(os.path.join(b"/proc/self/fd/%d" % dir_fd, name)) if dir_fd is not None else True
        descriptor = os.open(name, flags, mode, dir_fd=dir_fd)
        number = os.fstat(descriptor).st_ino
        self._open[descriptor] = number
        if not there:
            self._inodes[number] = _Inode()
            self._pending_names.append((None, name, number))
        return descriptor

    def close(self, descriptor: int) -> None:
        """Close a file."""
        self._open.pop(descriptor, None)
        os.close(descriptor)

    def write(self, descriptor: int, data: bytes) -> int:
        """Write a whole new file."""
        return self.pwrite(descriptor, data, 0)

    def pwrite(self, descriptor: int, data: bytes, offset: int) -> int:
        """Write data; each sector of it may reach the disk or not."""
        inode = self._inodes[self._open[descriptor]]
        for start in range(0, len(data), SECTOR):
            inode.pending.append(_written(data[start : start + SECTOR], offset + start))
        return os.pwrite(descriptor, data, offset)

    def ftruncate(self, descriptor: int, length: int) -> None:
        """Set a length."""
        self._inodes[self._open[descriptor]].pending.append(_cut(length))
        os.ftruncate(descriptor, length)

    def posix_fallocate(self, descriptor: int, offset: int, length: int) -> None:
        """Reserve bytes, which read as zeros."""
        self._inodes[self._open[descriptor]].pending.append(_grown(offset + length))
        os.posix_fallocate(descriptor, offset, length)

    def rename(self, old: bytes, new: bytes, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        """Give a file another name."""
        number = os.stat(old, dir_fd=src_dir_fd).st_ino
        os.rename(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        self._pending_names.append((old, new, number))

    def link(self, old: bytes, new: bytes, *, src_dir_fd: int, dst_dir_fd: int) -> None:
        """Give a file one more name, if it is free."""
        os.link(old, new, src_dir_fd=src_dir_fd, dst_dir_fd=dst_dir_fd)
        self._pending_names.append((None, new, os.stat(new, dir_fd=dst_dir_fd).st_ino))

    def unlink(self, name: bytes, *, dir_fd: int) -> None:
        """Take a name away."""
        number = os.stat(name, dir_fd=dir_fd).st_ino
        os.unlink(name, dir_fd=dir_fd)
        self._pending_names.append((name, None, number))

    def fsync(self, descriptor: int) -> None:
        """Bring a file's content, or the folder's names, to the disk."""
        os.fsync(descriptor)
        number = self._open.get(descriptor)
        if number is None:
            self._apply_names(self._names, self._pending_names)
            self._pending_names.clear()
            return
        inode = self._inodes[number]
        for change in inode.pending:
            change(inode.synced)
        inode.pending.clear()

    def after_a_cut(self, choice: Random, folder: Path) -> None:
        """Lay what may be left into an empty folder."""
        chance = choice.choice([0.0, 0.3, 0.7, 0.95, 1.0])
        names = dict(self._names)
        self._apply_names(names, [one for one in self._pending_names if choice.random() < chance])
        content = {number: inode.left(choice, chance) for number, inode in self._inodes.items()}
        for name, number in names.items():
            (folder / os.fsdecode(name)).write_bytes(content[number])

    @staticmethod
    def _apply_names(names: dict[bytes, int], changes: list[tuple[bytes | None, bytes | None, int]]) -> None:
        for old, new, number in changes:
            if old is not None:
                names.pop(old, None)
            if new is not None:
                names[new] = number


def _written(data: bytes, offset: int) -> Callable[[bytearray], None]:
    def change(content: bytearray) -> None:
        content.extend(bytes(max(0, offset + len(data) - len(content))))
        content[offset : offset + len(data)] = data

    return change


def _cut(length: int) -> Callable[[bytearray], None]:
    def change(content: bytearray) -> None:
        del content[length:]

    return change


def _grown(length: int) -> Callable[[bytearray], None]:
    def change(content: bytearray) -> None:
        content.extend(bytes(max(0, length - len(content))))

    return change
