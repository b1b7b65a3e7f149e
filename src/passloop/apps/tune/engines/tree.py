"""The tree of processes below this one: adopt its orphans, end it, prove that it is gone. Signals nothing else.

The trial process is the subreaper of all that it starts, so that a double fork or a session of its own does not leave
the tree. It takes no process's end away from whoever waits for it: it looks without reaping.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
from collections.abc import Iterable

from passloop.drivers.identity import ticks_of
from passloop.drivers.processes.keeper.tree import descendants, parent_of

from .base import Stopped

__all__ = ["Known", "adopt_orphans", "below", "children_now", "end_tree", "living"]

SUBREAPER = 36
ROUND = 0.1
"""Seconds between two rounds of SIGKILL against a tree that forks while it is killed."""
STRAY_AFTER = 10.0
"""Seconds that a killed tree gets to vanish."""

Known = frozenset[tuple[int, int | None]]
"""Processes by pid and start time, which tells a recycled pid apart."""


def adopt_orphans(*, adopt: bool = True) -> None:
    """From now on every orphan below this process becomes its child, or no more. Raises `OSError`."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(SUBREAPER, int(adopt), 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this process cannot adopt the orphans below it (prctl)")


def children_now() -> Known:
    """The children of this process, which a later `end_tree` can be told to spare."""
    own = os.getpid()
    return frozenset((pid, ticks_of(pid)) for pid in descendants(own) if parent_of(pid) == own)


def below(spare: Known = frozenset()) -> list[int]:
    """The pids below this process, ended ones that nobody has waited for included; not those to spare and below."""
    spared: set[int] = set()
    for pid, ticks in spare:
        if ticks is not None and ticks_of(pid) == ticks:
            spared |= {pid, *descendants(pid)}
    return [pid for pid in descendants(os.getpid()) if pid not in spared]


def living(spare: Known = frozenset()) -> list[int]:
    """The pids below this process that have not wholly ended: a process is there until its last thread is gone."""
    return [pid for pid in below(spare) if not _ended(pid)]


def _ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return not os.path.exists(f"/proc/{pid}")


async def end_tree(grace: int, spare: Known = frozenset()) -> Stopped:
    """Ask everything below to end (SIGTERM), kill what is there after `grace` ms; what survives even that is told.

    Not for two callers at once, since it listens for the ends of children.
    """
    loop = asyncio.get_running_loop()
    child_ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGCHLD, child_ended.set)
    try:
        _signal(below(spare), signal.SIGTERM, signal.SIGCONT)
        left = await _wait_gone(child_ended, grace / 1000, spare)
        killed = tuple(str(pid) for pid in left)
        due = loop.time() + STRAY_AFTER
        while left and loop.time() < due:
            _signal(below(spare), signal.SIGKILL)
            left = await _wait_gone(child_ended, ROUND, spare)
    finally:
        loop.remove_signal_handler(signal.SIGCHLD)
    return Stopped(killed, tuple(str(pid) for pid in left))


async def _wait_gone(child_ended: asyncio.Event, seconds: float, spare: Known) -> list[int]:
    """What lives when nothing does any more, or the time is over."""
    try:
        async with asyncio.timeout(seconds):
            await _all_ended(child_ended, spare)
    except TimeoutError:
        return living(spare)
    return []


async def _all_ended(child_ended: asyncio.Event, spare: Known) -> None:
    while True:
        child_ended.clear()
        if not living(spare):
            return
        await child_ended.wait()


def _signal(pids: Iterable[int], *numbers: signal.Signals) -> None:
    """Signal each that, held by its descriptor, still has its parent here or among them: a recycled pid has not."""
    members = list(pids)
    family = {os.getpid(), *members}
    for pid in members:
        with contextlib.suppress(OSError):
            _signal_held(pid, family, numbers)


def _signal_held(pid: int, family: set[int], numbers: Iterable[signal.Signals]) -> None:
    held = os.pidfd_open(pid)
    try:
        if parent_of(pid) in family:
            for number in numbers:
                signal.pidfd_send_signal(held, number)
    finally:
        os.close(held)
