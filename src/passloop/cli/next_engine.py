"""Waiting for the engine that comes next, and for the one that goes: by inotify, never longer than was said.

It starts no engine and asks none anything. It imports little: followers need it when they have lost their engine.
"""

from __future__ import annotations

import math
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

__all__ = ["STARTS_WITHIN", "lets_go", "once_free", "wait_for_engine", "wait_for_owner", "wait_until_ended"]

STARTS_WITHIN = 15.0
"""Seconds within which an engine that is coming up answers."""
_BETWEEN_BIND_AND_LISTEN = 0.05
_BETWEEN_CLOSE_AND_UNLOCK = 0.05
"""Linux tells of a closed file before it drops the lock that was held with it: one more look is taken so much later."""
_NO_HOME = (FileNotFoundError, NotADirectoryError, PermissionError)
"""What tells that a place is no home, or none of ours: it has no engine that could be waited for."""
Result = TypeVar("Result")


def wait_for_engine(home: str, *, seconds: float = STARTS_WITHIN, until: float = math.inf) -> bool:
    """Wait until the engine that is coming up in another process answers; False if it does not within `seconds` in
    which nobody owns the home, as its owner comes up or goes down (and copies a store), or by the monotonic `until`.

    inotify tells when its socket appears; between that and `listen` there is an instant without a sign.
    """
    free_since: float | None = None

    def end() -> float:
        nonlocal free_since
        if _owner(home) is not None:
            free_since = None
            return until
        if free_since is None:
            free_since = time.monotonic()
        return min(free_since + seconds, until)

    return _wait(home, CREATED | RELEASED, Client(home).alive, end)


def wait_for_owner(home: str) -> bool:
    """Wait until the home's owner answers as its engine, or the home has none; False then."""
    client = Client(home)
    _wait(home, CREATED | RELEASED, lambda: client.alive() or _owner(home) is None, lambda: math.inf)
    return client.alive()


def lets_go(home: str, *, seconds: float) -> bool:
    """Whether no engine answers, or the one that does takes its socket away, or another's is put there, so soon."""
    until = time.monotonic() + seconds
    with watcher() as watch:
        try:
            watch.add(home, CREATED | DELETED)
        except _NO_HOME:
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
            is_told = _wait(home, CREATED | RELEASED, lambda: client.alive() or _owner(home) is None, lambda: until)
            if not is_told:
                raise
        if client.alive():
            return None


def wait_until_ended(home: str, pid: int) -> None:
    """Until the process is gone, or no longer owns the home: a program that was the engine itself may live on. One in
    another container has no such process here, and lets go of the home all the same.
    """
    with watcher() as changes, _process(pid) as watched:
        changes.add(home, RELEASED)
        ready: list[int] = []
        is_told = False
        while _owner(home) == pid and not set(watched) & set(ready):
            most = _BETWEEN_CLOSE_AND_UNLOCK if is_told else None
            ready, _, _ = select.select([*watched, changes.fileno()], [], [], most)
            is_told = bool(changes.drain())


def _wait(home: str, mask: int, is_there: Callable[[], bool], until: Callable[[], float]) -> bool:
    """Look whenever something in the home changed, until it is there or the monotonic clock has come so far as `until`
    says by then. A home that is gone gets no engine, and a socket without an owner was left by one that died.
    """
    with watcher() as watch:
        try:
            watch.add(home, mask)
        except _NO_HOME:
            return False
        is_told = False
        while not is_there():
            left = until() - time.monotonic()
            if left <= 0:
                return False
            comes_up = os.path.exists(os.path.join(home, "socket")) and _owner(home) is not None
            most = min(left, _BETWEEN_BIND_AND_LISTEN) if comes_up else left
            most = min(most, _BETWEEN_CLOSE_AND_UNLOCK) if is_told else most
            select.select([watch], [], [], None if most == math.inf else most)
            is_told = bool(watch.drain())
    return True


@contextmanager
def _process(pid: int) -> Iterator[list[int]]:
    """A descriptor that is readable when the process has ended; none for one that is not to be seen."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        yield []
        return
    try:
        yield [watched]
    finally:
        os.close(watched)


def _owner(home: str) -> int | None:
    try:
        return owner_of(Home(Path(home)))
    except _NO_HOME:
        return None
