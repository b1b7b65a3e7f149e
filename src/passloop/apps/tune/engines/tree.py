"""The tree of processes below this one: adopt its orphans, end it, prove that it is gone. Signals nothing else.

The trial process is the subreaper of all that it starts, so that a double fork or a session of its own does not leave
the tree. It takes no process's end away from whoever waits for it: it looks without reaping.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal

from passloop.drivers.processes.keeper.tree import descendants, signal_all

from .base import Stopped

__all__ = ["adopt_orphans", "below", "end_tree", "living"]

SUBREAPER = 36
ROUND = 0.1
"""Seconds between two rounds of SIGKILL against a tree that forks while it is killed."""
STRAY_AFTER = 10.0
"""Seconds that a killed tree gets to vanish."""


def adopt_orphans() -> None:
    """From now on every orphan below this process becomes its child. Raises `OSError`."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "this process cannot adopt the orphans below it (prctl)")


def below() -> list[int]:
    """The pids below this process, ended ones that nobody has waited for included."""
    return descendants(os.getpid())


def living() -> list[int]:
    """The pids below this process that have not wholly ended: a process is there until its last thread is gone."""
    return [pid for pid in below() if not _ended(pid)]


def _ended(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    except ChildProcessError:
        return not os.path.exists(f"/proc/{pid}")


async def end_tree(grace: int) -> Stopped:
    """Ask everything below to end (SIGTERM), kill what is there after `grace` ms; what survives even that is told.

    Not for two callers at once, since it listens for the ends of children.
    """
    loop = asyncio.get_running_loop()
    child_ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGCHLD, child_ended.set)
    try:
        signal_all(os.getpid(), signal.SIGTERM, signal.SIGCONT)
        left = await _wait_gone(child_ended, grace / 1000)
        killed = tuple(str(pid) for pid in left)
        due = loop.time() + STRAY_AFTER
        while left and loop.time() < due:
            signal_all(os.getpid(), signal.SIGKILL)
            left = await _wait_gone(child_ended, ROUND)
    finally:
        loop.remove_signal_handler(signal.SIGCHLD)
    return Stopped(killed, tuple(str(pid) for pid in left))


async def _wait_gone(child_ended: asyncio.Event, seconds: float) -> list[int]:
    """What lives when nothing does any more, or the time is over."""
    try:
        async with asyncio.timeout(seconds):
            while True:
                child_ended.clear()
                if not living():
                    return []
                await child_ended.wait()
    except TimeoutError:
        return living()
