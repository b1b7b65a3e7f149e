"""Who listens on a port, read from /proc: a listening socket's inode against the open files of processes.

Must never guess: a process whose files cannot be read may be the one, and that is said.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from .base import Holder

__all__ = ["holder_of", "listening_inodes"]

LISTENING = "0A"
PROC = Path("/proc")


def listening_inodes(port: int, *, proc: Path = PROC) -> frozenset[str]:
    """The inodes of the sockets that listen on a TCP port, of any address, in our network."""
    wanted = f":{port:04X}"
    found = set()
    for name in ("tcp", "tcp6"):
        try:
            lines = (proc / "net" / name).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if fields[3] == LISTENING and fields[1].endswith(wanted):
                found.add(fields[9])
    return frozenset(found)


def holder_of(port: int, family: Iterable[int], *, proc: Path = PROC) -> Holder:
    """Who listens on the port: `OURS` only if each socket there is open in a process of `family`."""
    unclaimed = {f"socket:[{inode}]" for inode in listening_inodes(port, proc=proc)}
    if not unclaimed:
        return Holder.NOBODY
    hidden = False
    for pid in family:
        try:
            unclaimed -= _sockets(proc / str(pid) / "fd")
        except (FileNotFoundError, ProcessLookupError):
            continue
        except OSError:
            hidden = True
        if not unclaimed:
            return Holder.OURS
    return Holder.HIDDEN if hidden else Holder.OTHERS


def _sockets(folder: Path) -> set[str]:
    """The sockets among a process's open files."""
    found = set()
    for name in os.listdir(folder):
        try:
            target = os.readlink(folder / name)
        except (FileNotFoundError, ProcessLookupError):
            continue
        if target.startswith("socket:"):
            found.add(target)
    return found
