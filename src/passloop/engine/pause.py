"""The pause of an engine that cannot write: how long until the next try, and the ballast that makes room for a note.

The ballast is a plain file kept beside the store. It is given up when the disk is full, so that the pause itself can
be recorded, and is laid down again before work goes on: that it fits is the proof that there is room.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path

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
    """Write the ballast whole and durably, if it is not there; False if there is no room for it."""
    try:
        if not path.exists() or path.stat().st_size < size:
            _write_whole(path, size)
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
        _write_whole(probe, len(_BLOCK))
    except FileNotFoundError:
        return True
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            probe.unlink()
    return True


def _write_whole(path: Path, size: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for _ in range(0, size, len(_BLOCK)):
            file.write(_BLOCK)
        file.flush()
        os.fsync(descriptor)
