"""Reads other processes from /proc: parent, start time, owner, name, one environment variable. Never signals
them.

Whatever cannot be read (gone, another user's, hidden) is answered as unknown, never guessed.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

__all__ = ["INITIAL_PID_NAMESPACE", "ProcessTable", "Stat", "process_exists", "user_name"]

INITIAL_PID_NAMESPACE = "pid:[4026531836]"
"""The kernel's fixed number of the pid namespace that contains all others."""

LONGEST_NAME = 64


class Stat(NamedTuple):
    """A process's parent and its start time in clock ticks since boot (which tells a recycled pid apart)."""

    parent: int
    start_ticks: int


def process_exists(pid: int) -> bool:
    """Ask the kernel, by the signal that is none: /proc may hide the processes of other users."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


class ProcessTable:
    """A view of `/proc`; `root` and `exists` are others only in tests."""

    def __init__(self, root: Path = Path("/proc"), *, exists: Callable[[int], bool] = process_exists) -> None:
        self._root = root
        self._exists = exists

    def exists(self, pid: int) -> bool:
        """Whether there is such a process in our pid namespace, be it hidden from /proc."""
        return self._exists(pid)

    def stat(self, pid: int) -> Stat | None:
        """Parent and start time; None when the process is not visible here."""
        text = self._read(pid, "stat")
        if text is None:
            return None
        fields = text[text.rfind(b")") + 1 :].split()
        try:
            return Stat(int(fields[1]), int(fields[19]))
        except (IndexError, ValueError):
            return None

    def variable(self, pid: int, name: str) -> str | None:
        """The variable's value when the process was started; None when unset or not readable for us."""
        text = self._read(pid, "environ")
        start = name.encode() + b"="
        for pair in (text or b"").split(b"\0"):
            if pair.startswith(start):
                return pair[len(start) :].decode("utf-8", "replace")
        return None

    def user(self, pid: int) -> str:
        """The owner's login name (or number); empty when the process is not visible here."""
        try:
            uid = os.stat(self._root / str(pid)).st_uid
        except OSError:
            return ""
        return user_name(uid)

    def name(self, pid: int) -> str:
        """The process's short name, printable; empty when it is not visible here."""
        text = (self._read(pid, "comm") or b"").decode("utf-8", "replace").strip()
        return "".join(letter if letter.isprintable() else "?" for letter in text)[:LONGEST_NAME]

    def nested(self) -> bool:
        """True when we live in a pid namespace of our own (a container): others' pids may not be visible
        here.
        """
        try:
            return os.readlink(self._root / "self" / "ns" / "pid") != INITIAL_PID_NAMESPACE
        except OSError:
            return False

    def _read(self, pid: int, leaf: str) -> bytes | None:
        try:
            return (self._root / str(pid) / leaf).read_bytes()
        except OSError:
            return None


def user_name(uid: int) -> str:
    """A login name, or the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
