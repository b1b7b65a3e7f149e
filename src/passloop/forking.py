"""Descriptors of locked files and listeners that are this process's alone: no child that it forks keeps one.

A lock of `flock` belongs to the open file, and who connects to a listener waits for an answer as long as anybody has it
open. A forked child has both until it ends, though it knows nothing of them. So a child closes them before anything
else runs in it, which unlocks nothing here. What another thread does meanwhile cannot slip through: nothing is opened
here while a fork is under way, as in the standard library's `logging`. What is started otherwise (`subprocess`) needs
only `O_CLOEXEC`.
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

__all__ = ["close_own", "dup_own", "open_own", "own_socket"]

_own = set[int]()
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


def _close_in_child() -> None:
    for descriptor in _own:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _own.clear()
    for made in _sockets:
        made.close()
    _guard.release()


os.register_at_fork(before=_guard.acquire, after_in_parent=_guard.release, after_in_child=_close_in_child)
