"""Everything that a store does to its disk, in its order: what SQLite writes, syncs and deletes, and which names our
own code gives, takes and syncs.

Run as a program on a home it plays one of the `PLAYS` through a recording VFS and a recording `os`, and prints one JSON
line for each thing that reached the operating system, and for each that was acknowledged. `cut_disk` replays them.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from typing import Any

import apsw

from passloop.kernel.changes import AttemptChanged, TaskChanged
from passloop.kernel.tasks import TaskState
from passloop.store import connection
from passloop.store.database import Batch, Store
from passloop.store.home import Home
from passloop.store.repair import repair

from .store_rows import a_batch, a_submission, a_task, an_attempt

__all__ = ["BACKUPS", "BATCHES", "PLAYS", "batches"]

BATCHES = 40
REMOVALS = 12
BACKUPS = (15, 30)
"""After which batches the store is backed up."""
_SYNCS_ITS_NAME = apsw.SQLITE_OPEN_WAL | apsw.SQLITE_OPEN_MAIN_JOURNAL | apsw.SQLITE_OPEN_SUPER_JOURNAL
"""What SQLite's unix VFS opens so that the first sync of a new file syncs its directory, too."""


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


class _Recorder:
    """Numbers the files below one folder by their inodes, whatever names they get, and tells what happens to them."""

    def __init__(self, root: Path) -> None:
        self._root = os.fspath(root)
        self._nodes: dict[int, int] = {}
        self._told = 0
        for path in sorted(root.rglob("*")):
            say(do="found", **self._made(path), data=path.read_bytes().hex() if path.is_file() else None)

    def name(self, path: Any) -> str | None:
        """The path below the folder, or None if it is elsewhere."""
        relative = os.path.relpath(os.fspath(path) if isinstance(path, os.PathLike) else path, self._root)
        return None if relative.startswith("..") else relative

    def node(self, descriptor_or_path: Any) -> int | None:
        """The number of a file that was found or made below the folder."""
        return self._nodes.get(os.stat(descriptor_or_path).st_ino)

    def _made(self, path: Any) -> dict[str, Any]:
        self._told += 1
        self._nodes[os.stat(path).st_ino] = self._told
        return {"file": self.name(path), "node": self._told}

    def make(self, path: Any) -> None:
        """A new file or folder has this name."""
        if self.name(path) is not None:
            say(do="make", **self._made(path), folder=os.path.isdir(path))

    def write(self, node: int | None, data: bytes, at: int) -> None:
        """These bytes were written there."""
        if node is not None:
            say(do="write", node=node, at=at, data=data.hex())

    def truncate(self, node: int | None, length: int) -> None:
        """The file has this length."""
        if node is not None:
            say(do="truncate", node=node, at=length)

    def sync(self, node: int | None) -> None:
        """All that was written to the file is on the disk."""
        if node is not None:
            say(do="sync", node=node)

    def sync_directory(self, path: Any) -> None:
        """All names in a directory are on the disk."""
        if self.name(path) is not None:
            say(do="sync_directory", file=self.name(path))

    def rename(self, old: Any, new: Any) -> None:
        """A file has another name."""
        if self.name(old) is not None:
            say(do="rename", file=self.name(old), to=self.name(new))

    def delete(self, path: Any) -> None:
        """A name is gone."""
        if self.name(path) is not None:
            say(do="delete", file=self.name(path))


class _File(apsw.VFSFile):
    def __init__(self, recorder: _Recorder, name: Any, flags: list[int]) -> None:
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        is_new = bool(path) and not os.path.exists(path)
        super().__init__("unix", name, flags)
        self._recorder = recorder
        self._folder = os.path.dirname(path) if is_new and flags[0] & _SYNCS_ITS_NAME else None
        if is_new:
            recorder.make(path)
        self._node = recorder.node(path) if path and recorder.name(path) is not None else None

    def xWrite(self, data: Any, offset: int) -> None:  # noqa: N802
        self._recorder.write(self._node, bytes(data), offset)
        super().xWrite(data, offset)

    def xLock(self, level: int) -> None:  # noqa: N802
        """A reader that closes asks in vain for the lock of a writer, which SQLite ignores and apsw would raise."""
        try:
            super().xLock(level)
        except apsw.IOError as error:
            raise apsw.BusyError("not locked") from error

    def xSync(self, flags: int) -> None:  # noqa: N802
        super().xSync(flags)
        self._recorder.sync(self._node)
        if self._folder is not None:
            self._recorder.sync_directory(self._folder)
            self._folder = None

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._recorder.truncate(self._node, newsize)
        super().xTruncate(newsize)


class _RecordingVfs(apsw.VFS):
    def __init__(self, recorder: _Recorder) -> None:
        super().__init__("recording", "unix", makedefault=True)
        self._recorder = recorder

    def xOpen(self, name: Any, flags: list[int]) -> _File:  # noqa: N802
        return _File(self._recorder, name, flags)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        super().xDelete(filename, syncdir)
        self._recorder.delete(filename)
        if syncdir:
            self._recorder.sync_directory(os.path.dirname(filename))


def _record_our_own(recorder: _Recorder) -> None:
    """From now on what the store does to files and names by itself is told, too."""
    does_open, does_sync = os.open, os.fsync

    def recorded_open(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        is_new = flags & os.O_CREAT and not os.path.exists(path)
        descriptor = does_open(path, flags, mode, **more)
        if is_new:
            recorder.make(path)
        return descriptor

    def recorded_sync(descriptor: int) -> None:
        does_sync(descriptor)
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            recorder.sync_directory(os.readlink(f"/proc/self/fd/{descriptor}"))
        else:
            recorder.sync(recorder.node(descriptor))

    os.open, os.fsync = recorded_open, recorded_sync
    _afterwards(os, "mkdir", lambda path, *_: recorder.make(path))
    _afterwards(os, "pwrite", lambda descriptor, data, at: recorder.write(recorder.node(descriptor), data, at))
    _afterwards(os, "unlink", recorder.delete)
    _afterwards(os, "replace", recorder.rename)
    _afterwards(shutil, "copyfile", lambda _, to: (recorder.make(to), _whole(recorder, to)))


def _afterwards(module: Any, name: str, tell: Callable[..., object]) -> None:
    does = getattr(module, name)

    @wraps(does)
    def recorded(*words: Any, **more: Any) -> Any:
        done = does(*words, **more)
        tell(*words)
        return done

    setattr(module, name, recorded)


def _whole(recorder: _Recorder, path: Any) -> None:
    recorder.write(recorder.node(path), Path(path).read_bytes(), 0)


def say(**line: Any) -> None:
    """Print one JSON line."""
    print(json.dumps(line))


def commits(home: Home, *, synchronous: str | None = None) -> None:
    """Commit all batches, with checkpoints in between, and close the store. `synchronous` in place of the store's own
    setting shows that a disk like this sees what it costs.
    """
    store = Store.open(home)
    if synchronous is not None:
        store._writer.pragma("synchronous", synchronous)
    for batch in batches():
        say(acknowledged=store.commit(batch))
    store.close()


def backups(home: Home) -> None:
    """Commit all batches, and make two backups meanwhile, the second in the place of the first."""
    store = Store.open(home)
    for number, batch in enumerate(batches(), 1):
        say(acknowledged=store.commit(batch))
        if number in BACKUPS:
            store.backup()
            say(backed_up=number)
    store.close()


def removals(home: Home) -> None:
    """Submit three tasks, end the first and remove it, again and again; each is one row of the journal."""
    store = Store.open(home)
    for first in range(1, 3 * REMOVALS, 3):
        say(acknowledged=store.commit(a_submission(3, run=first, first=first)))
        say(acknowledged=store.commit(a_batch([TaskChanged(a_task(first, run=first, state=TaskState.SUCCEEDED))])))
        store.remove_tasks([first])
        say(acknowledged=3 * (1 + first // 3))
    store.close()


def repairs(home: Home) -> None:
    """Repair a damaged home."""
    assert not repair(home).whole
    say(repaired=True)


PLAYS: dict[str, Callable[..., None]] = {
    "commits": commits,
    "backups": backups,
    "removals": removals,
    "repairs": repairs,
}


def record(home: Home, play: str, **settings: str) -> None:
    """Play it, recorded."""
    recorder = _Recorder(home.path)
    vfs = _RecordingVfs(recorder)
    _record_our_own(recorder)
    connection.CHECKPOINT_PAGES = 60
    PLAYS[play](home, **settings)
    vfs.unregister()


if __name__ == "__main__":
    record(Home(Path(sys.argv[1])), sys.argv[2], **dict(word.split("=") for word in sys.argv[3:]))
