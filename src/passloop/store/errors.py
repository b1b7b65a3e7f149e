"""What the store raises, by whose fault it is and what to do. Foreign errors are translated in
`connection.py`.

Every error says what happened and where (`message`), how to go on (`hint`, one command where there is one)
and with which code a command ends (`exit_code`).
"""

from __future__ import annotations

import errno

from passloop.passing import Passing

__all__ = [
    "FREE_SPACE",
    "ArtifactRefused",
    "HomeBusy",
    "HomeRefused",
    "NotStorable",
    "StoreBusy",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "StoreMissing",
    "StoreOutOfFiles",
    "StoreRefused",
    "StoreTooNew",
    "StoreTooOld",
    "StoreUnreadable",
    "full_disk",
    "unwritten",
]

FREE_SPACE = "Free space on this disk: an engine that runs then goes on alone, and `passloop up` starts one."
"""How to go on from a full disk, with an engine and without."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class StoreError(Exception):
    """The base of what the store raises."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class HomeRefused(StoreError):
    """The home cannot be used safely: wrong owner, writable by others, on a network file system."""

    exit_code = 6


class HomeBusy(StoreError):
    """Another engine owns the home. `pid` is its process, 0 if unknown."""

    exit_code = 6

    def __init__(self, message: str, *, hint: str, pid: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.pid = pid


class StoreMissing(StoreError):
    """There is no store in the home, and none was to be made."""

    exit_code = 3


class StoreOutOfFiles(StoreError, Passing):
    """The system lets this process open no more files than it has: nothing can be said of the store. `number` is its
    errno: whether this process has too many, or all together.
    """

    exit_code = 5

    def __init__(self, message: str, *, hint: str, number: int) -> None:
        super().__init__(message, hint=hint)
        self.number = number


class StoreDamaged(StoreError):
    """What is on disk is not what was written. Nothing was changed; `doctor --repair` goes on from here."""

    exit_code = 4


class StoreTooNew(StoreError):
    """The store was written by a newer passloop, or SQLite is one that must not write it."""

    exit_code = 4


class StoreTooOld(StoreError):
    """The store is of an older passloop, or its making was cut short; the next engine brings it to this version."""

    exit_code = 4


class StoreFull(StoreError, Passing):
    """The disk is full or refuses writes. Nothing of the batch was kept; it can be tried again later."""

    exit_code = 5


class StoreUnreadable(StoreFull):
    """The disk does not give back what is on it. Maybe it does at the next try, so an engine that runs pauses as on a
    full one; nobody is told to free space for it.
    """

    exit_code = 4

    def __init__(self, message: str, *, home: object) -> None:
        hint = (
            f"The disk may be failing: copy what can be read of {home} to another one, with mode 0700, and there run: "
            "passloop --home COPY doctor --repair"
        )
        super().__init__(message, hint=hint)


def unwritten(message: str, error: OSError, *, room: str, otherwise: str) -> StoreError:
    """The error for what cannot be written: with the hint `room` where that is for want of it, else `otherwise`."""
    if error.errno in _NO_ROOM:
        return StoreFull(message, hint=room)
    return StoreError(message, hint=otherwise)


def full_disk(path: object, error: OSError) -> StoreFull | None:
    """The error for `path` that cannot be written for want of room (disk, quota, limit); None for any other want."""
    if error.errno not in _NO_ROOM:
        return None
    if error.errno == errno.EFBIG:
        return StoreFull(f"{path} cannot be written: {error.strerror}", hint="Raise the limit of file sizes: ulimit -f")
    return StoreFull(f"disk full: {path} cannot be written: {error.strerror}", hint=FREE_SPACE)


class StoreBusy(StoreError, Passing):
    """Another process kept the database locked for too long."""


class StoreRefused(StoreError):
    """A row that must not be written: it would overwrite an ended attempt, a final task or an id in use."""


class NotStorable(StoreRefused):
    """A value that no store can keep: text that is not UTF-8, a number of more than 64 bits. The giver's mistake."""

    exit_code = 2


class ArtifactRefused(StoreError):
    """A file that is not one of the attempt's own."""

    exit_code = 3
