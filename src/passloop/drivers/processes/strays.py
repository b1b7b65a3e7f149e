"""Find and end what is left of an attempt whose shim is dead: nothing stands over it any more.

A process is an attempt's if its environment has the attempt's name, if it is in the session its shim opened,
if it descends from one of those, or if it is in the attempt's control group. What escaped all of these is
not covered. Must never touch this process, nor one that began before the shim did, nor go by numbers that mean
somebody else by now: those of another boot, or of a shim whose pid was given out again.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from passloop.drivers.identity import Process, boot_id, open_process, send, session_of, ticks_of

from .keeper.memory import group_name
from .keeper.tree import descendants

__all__ = ["PATIENCE", "end_all", "find", "outlast", "remove_group", "wait_gone"]

PATIENCE = 10.0
"""Seconds that killed processes get to vanish before they are called strays."""

ROUND = 1.0
"""Seconds after which those that vanish slowly are not waited for without a look at who else is there."""

_VARIABLE = b"PASSLOOP_ATTEMPT_ID="


def find(name: str, shim: Process | None, cgroup: Path | None) -> list[Process]:
    """The living processes of the attempt called `name`. Reads all of /proc, so not for the engine's loop."""
    wanted = _VARIABLE + os.fsencode(name)
    own = {os.getpid()}
    session = _session_opened_by(shim)
    found: set[int] = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and (_has_variable(entry, wanted) or _in_session(int(entry), session)):
            found.add(int(entry))
    found.update(_members(name, cgroup))
    for pid in tuple(found):
        found.update(descendants(pid))
    since = shim.ticks if shim is not None and shim.boot == boot_id() else 0
    ticks = {pid: ticks_of(pid) for pid in found - own}
    return [Process(pid, began, boot_id()) for pid, began in ticks.items() if began is not None and began >= since]


async def end_all(name: str, shim: Process | None, cgroup: Path | None) -> list[Process]:
    """Kill what `find` finds until nothing is found; what does not vanish within `PATIENCE` is returned.

    It is looked for anew after each `ROUND`: beside one that does not die others may have begun meanwhile.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    while True:
        left = await asyncio.to_thread(find, name, shim, cgroup)
        if not left or loop.time() >= deadline:
            return left
        try:
            async with asyncio.timeout_at(min(deadline, loop.time() + ROUND)):
                await wait_gone(left, signal.SIGKILL)
        except TimeoutError:
            continue


async def outlast(left: Sequence[Process], name: str, shim: Process | None, cgroup: Path | None) -> None:
    """Return when `left` and all that `find` finds after them is gone, however long that takes; all of it is killed."""
    while left:
        await wait_gone(left, signal.SIGKILL)
        left = await asyncio.to_thread(find, name, shim, cgroup)


async def wait_gone(processes: Sequence[Process], number: signal.Signals | None = None) -> None:
    """Return when all `processes` are gone, after sending each the signal `number` if one is given.

    All are signalled before any is waited for, so that one that does not die keeps no other alive.
    """
    if number is not None:
        for process in processes:
            _signal(process, number)
    for process in processes:
        held = open_process(process)
        if held is None:
            continue
        try:
            await readable(held)
        finally:
            os.close(held)


def _signal(process: Process, number: signal.Signals) -> None:
    held = open_process(process)
    if held is None:
        return
    try:
        send(held, number)
    except PermissionError:
        return  # another user's (sudo): nobody here can end it, and it is waited for as what does not die
    finally:
        os.close(held)


async def readable(descriptor: int) -> None:
    """Return when `descriptor` is readable."""
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    loop.add_reader(descriptor, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(descriptor)


def remove_group(name: str, cgroup: Path | None) -> None:
    """Remove the control group of an attempt of which nothing is left: its shim, which would have, was killed."""
    if cgroup is not None:
        with contextlib.suppress(OSError):
            _group(name, cgroup).rmdir()


def _has_variable(entry: str, wanted: bytes) -> bool:
    try:
        environment = Path(f"/proc/{entry}/environ").read_bytes()
    except OSError:
        return False
    return wanted in environment.split(b"\0")


def _session_opened_by(shim: Process | None) -> int | None:
    """The number of the shim's session, None if it may be another's: a pid is given out again once its session is
    empty.
    """
    if shim is None or shim.boot != boot_id() or ticks_of(shim.pid) not in (None, shim.ticks):
        return None
    return shim.pid


def _in_session(pid: int, session: int | None) -> bool:
    return session is not None and session_of(pid) == session


def _members(name: str, cgroup: Path | None) -> list[int]:
    if cgroup is None:
        return []
    try:
        text = (_group(name, cgroup) / "cgroup.procs").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(pid) for pid in text.split()]


def _group(name: str, cgroup: Path) -> Path:
    return cgroup / os.fsdecode(group_name(os.fsencode(name)))
