"""Waiting for the engine that comes next, and for the one that goes: by inotify, never longer than was said.

It starts no engine and asks none anything. It imports little: followers need it when they have lost their engine.
"""

from __future__ import annotations

import os
import select
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from passloop.cli.client import Client
from passloop.store.errors import HomeBusy
from passloop.store.home import Home, owner_of
from passloop.store.inotify import CREATED, DELETED, RELEASED, watcher

__all__ = ["STARTS_WITHIN", "lets_go", "once_free", "wait_for_engine", "wait_until_ended"]

STARTS_WITHIN = 15.0
"""Seconds within which an engine that is coming up answers."""
_BETWEEN_BIND_AND_LISTEN = 0.05
Result = TypeVar("Result")


def wait_for_engine(home: str, *, seconds: float = STARTS_WITHIN) -> bool:
    """Wait until the engine that is coming up in another process answers; False if it does not in time.

    inotify tells when its socket appears; between that and `listen` there is an instant without a sign.
    """
    client = Client(home)
    return _wait(home, CREATED, client.alive, until=time.monotonic() + seconds)


def lets_go(home: str, *, seconds: float) -> bool:
    """Whether no engine answers, or the one that does takes its socket away, or another's is put there, so soon."""
    until = time.monotonic() + seconds
    with watcher() as watch:
        try:
            watch.add(home, CREATED | DELETED)
        except FileNotFoundError:
            return True
        if not Client(home).alive():
            return True
        while (left := until - time.monotonic()) > 0:
            select.select([watch], [], [], left)
            if any(event.name == "socket" for event in watch.drain()):
                return True
    return False


def once_free(home: str, begin: Callable[[], Result]) -> Result | None:
    """What `begin` gives, which needs the home for itself; None if another engine answers there instead.

    While the home's owner comes up or goes down, it is waited for; raises `HomeBusy` if that takes too long.
    """
    client = Client(home)
    until = time.monotonic() + STARTS_WITHIN
    while True:
        try:
            return begin()
        except HomeBusy:
            is_told = _wait(home, CREATED | RELEASED, lambda: client.alive() or _owner(home) is None, until=until)
            if not is_told:
                raise
        if client.alive():
            return None


def wait_until_ended(home: str, pid: int) -> None:
    """Until the process is gone, or no longer owns the home: a program that was the engine itself may live on."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with watcher() as changes, _closed_after(watched):
        changes.add(home, RELEASED)
        ready: list[int] = []
        while _owner(home) == pid and watched not in ready:
            ready, _, _ = select.select([watched, changes.fileno()], [], [])
            changes.drain()


def _wait(home: str, mask: int, is_there: Callable[[], bool], *, until: float) -> bool:
    """Look whenever something in the home changed, until it is there or the monotonic clock has come so far."""
    with watcher() as watch:
        watch.add(home, mask)
        while not is_there():
            left = until - time.monotonic()
            if left <= 0:
                return False
            bound = os.path.exists(os.path.join(home, "socket"))
            select.select([watch], [], [], min(left, _BETWEEN_BIND_AND_LISTEN) if bound else left)
            watch.drain()
    return True


@contextmanager
def _closed_after(descriptor: int) -> Iterator[None]:
    try:
        yield
    finally:
        os.close(descriptor)


def _owner(home: str) -> int | None:
    return owner_of(Home(Path(home)))
