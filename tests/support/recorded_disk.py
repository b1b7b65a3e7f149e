"""A disk that remembers every write and sync of SQLite, and can show what a power cut at any moment may leave.

Run as a program it commits batches to a home through a recording VFS and prints one JSON line for each thing that
reached the operating system, and one for each batch that was acknowledged. `Disk` replays those lines: what was
synced is there, of everything later any subset of 512-byte sectors may be.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import apsw

from passloop.kernel.changes import AttemptChanged, TaskChanged
from passloop.kernel.tasks import TaskState
from passloop.store import connection
from passloop.store.database import Batch, Store
from passloop.store.home import Home

from .store_rows import a_batch, a_submission, a_task, an_attempt

__all__ = ["BATCHES", "Disk", "batches"]

BATCHES = 40
SECTOR = 512


def batches() -> Iterator[Batch]:
    """What is committed: batches of many sizes; each adds one run or changes one task."""
    first = 1
    for number in range(1, BATCHES + 1):
        if number % 3:
            count = 1 + number * 7 % 23
            yield a_submission(count, run=number, first=first, payload='{"name": "%s"}' % ("x" * (number * 40)))
            first += count
        else:
            task = a_task(number // 3, state=TaskState.RUNNING, attempts=1, run=1)
            yield a_batch([TaskChanged(task), AttemptChanged(an_attempt(number // 3))])


class _File(apsw.VFSFile):
    def __init__(self, name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        self._name = Path(path).name if path else ""
        super().__init__("unix", name, flags)

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        say(file=self._name, do="write", at=offset, data=bytes(data).hex())
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        say(file=self._name, do="sync")

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        say(file=self._name, do="truncate", at=newsize)
        super().xTruncate(newsize)


class _RecordingVfs(apsw.VFS):
    def __init__(self) -> None:
        super().__init__("recording", "unix", makedefault=True)

    def xOpen(self, name: Any, flags: list[int]) -> _File:  # noqa: N802
        return _File(name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        say(file=Path(filename).name, do="delete")
        super().xDelete(filename, syncdir)


def _record_directory_syncs() -> None:
    sync = os.fsync

    def recorded(descriptor: int) -> None:
        sync(descriptor)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            say(do="sync_directory")

    os.fsync = recorded


def say(**line: Any) -> None:
    """Print one JSON line."""
    print(json.dumps(line))


class Disk:
    """Files as a power cut may leave them."""

    def __init__(self) -> None:
        self._synced: dict[str, bytearray] = {}
        self._pending: dict[str, list[dict[str, Any]]] = {}
        self.acknowledged = 0

    def take(self, line: dict[str, Any]) -> None:
        """The next thing that happened."""
        if "acknowledged" in line:
            self.acknowledged = line["acknowledged"]
            return
        if line["do"] == "sync_directory":
            self._forget_deleted()
            return
        name = line["file"]
        if line["do"] != "sync":
            self._pending.setdefault(name, []).append(line)
            return
        content = self._synced.get(name)
        for one in self._pending.pop(name, []):
            content = _applied(content, one)
        if content is not None:
            self._synced[name] = content

    def _forget_deleted(self) -> None:
        """Without a sync of their directory, deleted files may come back."""
        for name, lines in list(self._pending.items()):
            deleted = max((n for n, line in enumerate(lines, 1) if line["do"] == "delete"), default=0)
            if deleted:
                self._synced.pop(name, None)
                self._pending[name] = lines[deleted:]

    def after_a_cut(self, choice: Random) -> dict[str, bytes]:
        """The files that may be left: all that was synced, and sectors by chance of what was not."""
        chance = choice.choice([0.0, 0.3, 0.7, 0.95, 1.0])
        files = {name: bytearray(content) for name, content in self._synced.items()}
        for name, lines in self._pending.items():
            content = files.pop(name, None)
            for line in lines:
                for part in _sectors(line):
                    content = _applied(content, part) if choice.random() < chance else content
            if content is not None:
                files[name] = content
        return {name: bytes(content) for name, content in files.items()}


def _sectors(line: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if line["do"] != "write":
        yield line
        return
    data, at = bytes.fromhex(line["data"]), line["at"]
    start = 0
    while start < len(data):
        end = min(len(data), start + SECTOR - (at + start) % SECTOR)
        yield {"do": "write", "at": at + start, "data": data[start:end].hex()}
        start = end


def _applied(content: bytearray | None, line: dict[str, Any]) -> bytearray | None:
    if line["do"] == "delete":
        return None
    content = bytearray() if content is None else content
    if line["do"] == "truncate":
        del content[line["at"] :]
        return content
    data, at = bytes.fromhex(line["data"]), line["at"]
    content.extend(bytes(max(0, at + len(data) - len(content))))
    content[at : at + len(data)] = data
    return content


def record(home: Home, *, synchronous: str = "full") -> None:
    """Commit all batches to `home`, with checkpoints in between, and close it. `synchronous` is the store's own
    setting; any other one shows that a disk like this sees what it costs.
    """
    vfs = _RecordingVfs()
    _record_directory_syncs()
    connection.CHECKPOINT_PAGES = 60
    store = Store.open(home)
    store._writer.pragma("synchronous", synchronous)
    for batch in batches():
        say(acknowledged=store.commit(batch))
    store.close()
    vfs.unregister()


if __name__ == "__main__":
    record(Home(Path(sys.argv[1])), **dict(word.split("=") for word in sys.argv[2:]))
