"""The output of an attempt as it is written, for whoever reads it over HTTP. It sleeps until the file grows or the
attempt ends, and reads nothing but a plain file of the attempt itself.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, ExitStack, suppress
from pathlib import Path

from passloop.engine.engine import Engine
from passloop.engine.errors import EngineError, EngineStopped
from passloop.kernel.ids import TaskId
from passloop.store.artifacts import open_artifact
from passloop.store.errors import ArtifactRefused
from passloop.store.inotify import CREATED, MODIFIED

__all__ = ["Followed", "Unfollowable", "check_followable", "follow_log", "read_log"]

PIECE = 65_536
BEGINNING = 256
"""Bytes by which a log that was emptied, and is as long again, is told from the one that was read."""
EXIT_RECORD = "exit.json"
"""The last thing that is written into the folder of an attempt."""


def read_log(path: Path, offset: int, limit: int, *, tail: bool = False) -> tuple[int, int, bytes]:
    """Size, the place read from, and at most `limit` bytes from `offset` on; with `tail` the last ones. A task may have
    put a link or a pipe in the place of its log: then there is nothing.
    """
    try:
        descriptor = open_artifact(path.parent, path.name)
    except ArtifactRefused:
        return 0, 0, b""
    with os.fdopen(descriptor, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        at = max(0, size - limit) if tail else min(offset, size)
        file.seek(at)
        return size, at, file.read(limit)


class Followed:
    """One attempt's log being followed: its file, what tells that it grows, and what ends it."""

    def __init__(self, engine: Engine, task: int, path: Path, *, is_latest: bool) -> None:
        self.path = path
        self._engine = engine
        self._task = task
        self._is_latest = is_latest

    def has_ended(self) -> bool:
        """Whether no more is to come: a later attempt is there, or the record of its end."""
        return not self._is_latest or (self.path.parent / EXIT_RECORD).exists()

    def changes(self) -> AbstractContextManager[asyncio.Event]:
        """What is set when something is written or made in the attempt's folder."""
        return self._engine.files.of(str(self.path.parent), MODIFIED | CREATED)

    async def final(self) -> None:
        """Until its task is final, or the engine stops."""
        with suppress(EngineStopped):
            await self._engine.wait_final((TaskId(self._task),))

    async def started(self) -> None:
        """Until the attempt has a folder, or its task is final."""
        with suppress(EngineStopped):
            if not self.path.parent.is_dir():
                await self._engine.wait_started(TaskId(self._task))


class Unfollowable(EngineError):
    """The system lets this user wait for no more files."""

    code = "unfollowable"
    exit_code = 5


def check_followable(engine: Engine) -> None:
    """Raise `Unfollowable` if no log can be followed: later there is no way to tell it."""
    try:
        engine.files.open()
    except OSError as error:
        what = f"the log cannot be followed: {error.strerror}"
        raise Unfollowable(what, hint="raise fs.inotify.max_user_instances") from None


def _read_on(path: Path, offset: int, beginning: bytes) -> tuple[int, bytes, bytes]:
    """What comes next: the place after it, how the log begins, and the bytes. They are those from its start on if it is
    shorter than what was read, or does not begin as it did.
    """
    size, _, start = read_log(path, 0, BEGINNING)
    if not size:
        return offset, beginning, b""
    if size < offset or not start.startswith(beginning):
        offset = 0
    _, _, data = read_log(path, offset, PIECE)
    offset += len(data)
    return offset, start[:offset], data


async def follow_log(followed: Followed, offset: int) -> AsyncIterator[bytes]:
    """Bytes from `offset` on, as they are written, until the attempt has ended and all of them were given. Of a log
    that its task emptied (`> /dev/stderr` opens it anew) all that was written since, as `tail -F` has it.
    """
    await followed.started()
    if not followed.path.parent.is_dir():
        return
    final = asyncio.ensure_future(followed.final())
    with ExitStack() as stack:
        stack.callback(final.cancel)
        changed = stack.enter_context(followed.changes())
        final.add_done_callback(lambda _: changed.set())
        beginning = b""
        while True:
            changed.clear()
            is_last = final.done() or followed.has_ended()
            offset, beginning, data = await asyncio.to_thread(_read_on, followed.path, offset, beginning)
            if data:
                yield data
            elif is_last:
                return
            else:
                await changed.wait()
