"""Descriptors of locked files, listeners and connections that are this process's alone: no child that it forks keeps
one.

A lock of `flock` belongs to the open file, and who asks waits for an answer as long as anybody has the other end open.
A forked child has all of it until it ends, though it knows nothing of it. So a child closes them before anything else
runs in it, which unlocks nothing here. What another thread does meanwhile cannot slip through: nothing is opened here
while a fork is under way, as in the standard library's `logging`. What is started otherwise (`subprocess`) needs only
`O_CLOEXEC`.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket

__all__ = ["close_own", "dup_own", "forget_own", "note_own", "open_own", "own_socket"]

_own = set[int]()
_noted: dict[int, tuple[int, int] | None] = {}
_sockets = weakref.WeakSet["socket.socket"]()
_guard = threading.RLock()


def open_own(path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
    """`os.open`, for this process alone. Close it with `close_own`, and nowhere else. Raises `OSError`."""
    with _guard:
        descriptor = os.open(path, flags, mode, dir_fd=dir_fd)
        _own.add(descriptor)
    return descriptor


def dup_own(descriptor: int) -> int:
    """`os.dup`, for this process alone. Raises `OSError`."""
    with _guard:
        another = os.dup(descriptor)
        _own.add(another)
    return another


def close_own(descriptor: int, *, unlocked: bool = False) -> None:
    """Close it here; `unlocked` for whoever has the same open file in spite of all, too.

    In a forked child it is closed already, and its number may be another file's: nothing is done. Raises `OSError`.
    """
    with _guard:
        if descriptor not in _own:
            return
        _own.remove(descriptor)
        try:
            if unlocked:
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        finally:
            os.close(descriptor)


def own_socket(family: socket.AddressFamily, protocol: int = 0) -> socket.socket:
    """A new stream socket, for this process alone. It is closed as any other. Raises `OSError`."""
    import socket

    with _guard:
        made = socket.socket(family, socket.SOCK_STREAM, protocol)
        _sockets.add(made)
    return made


def note_own(descriptor: int) -> None:
    """For this process alone from now on, though others close it: in a child it is looked whether it is still the same.

    Whoever noted it says `forget_own` before it is closed; a number that was never noted is no error there.
    """
    with _guard:
        _noted[descriptor] = _file(descriptor)


def forget_own(descriptor: int) -> None:
    """It is about to be closed."""
    with _guard:
        _noted.pop(descriptor, None)


def _file(descriptor: int) -> tuple[int, int] | None:
    try:
        about = os.fstat(descriptor)
    except OSError:
        return None
    return about.st_dev, about.st_ino


def _close_in_child() -> None:
    for descriptor in _own:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _own.clear()
    for made in _sockets:
        made.close()
    _empty_noted()
    _guard.release()


def _empty_noted() -> None:
    """Their objects may close them yet, so that the numbers stay taken."""
    if not _noted:
        return
    still = [descriptor for descriptor, file in _noted.items() if file and _file(descriptor) == file]
    _noted.clear()
    with contextlib.suppress(OSError):
        nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for descriptor in still:
            os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)


os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_close_in_child)
