"""The pause of an engine that cannot write: how long until the next try, and the ballast that makes room for a note.

The ballast is a plain file kept beside the store. It is given up when the disk is full, so that the pause itself can
be recorded, and is laid down again before work goes on: that it fits is the proof that there is room.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["BALLAST_BYTES", "Pause", "drop_ballast", "has_room", "lay_ballast"]

BALLAST_BYTES = 4 * 1024 * 1024
"""Enough for the store to record some hundred turns."""

FIRST_TRY = 1_000
LAST_STEP = 4_000
_BLOCK = b"\0" * 65_536


@dataclass(frozen=True, slots=True)
class Pause:
    """Why and since when (ms) nothing is written, and when (ms) writing is tried again."""

    reason: str
    since: int
    retry_at: int
    tries: int = 0

    @staticmethod
    def begin(reason: str, now: int) -> Pause:
        """A pause that begins at `now` and is looked at again after a second."""
        return Pause(reason=reason, since=now, retry_at=now + FIRST_TRY)

    def again(self, now: int) -> Pause:
        """The pause after one more try in vain; tries are 1, 2, then 4 s apart, so that it ends within 5 s."""
        step = min(FIRST_TRY << (self.tries + 1), LAST_STEP)
        return Pause(reason=self.reason, since=self.since, retry_at=now + step, tries=self.tries + 1)


def drop_ballast(path: Path) -> None:
    """Give the ballast's room back to the disk."""
    path.unlink(missing_ok=True)


def lay_ballast(path: Path, size: int = BALLAST_BYTES) -> bool:
    """Keep so many bytes of the disk in the ballast, durably, if it does not already; False if there is no room.

    They are reserved, not written: zeros that a file system packs would keep no room.
    """
    try:
        if not path.exists() or path.stat().st_size < size:
            with _made(path) as file:
                os.posix_fallocate(file.fileno(), 0, size)
                os.fsync(file.fileno())
    except OSError:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        return False
    return True


def has_room(folder: Path) -> bool:
    """Whether a small file can be written in a folder that may be on another disk than the store; it is removed again.

    A folder that is not there yet is no reason to wait.
    """
    probe = folder / ".room"
    try:
        with _made(probe) as file:
            file.write(_BLOCK)
            file.flush()
            os.fsync(file.fileno())
    except FileNotFoundError:
        return True
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return True


def _made(path: Path) -> BinaryIO:
    """An empty file to write to, of our own; no link is followed."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb")
