"""Blocks of ports for servers, so that trials beside each other never take each other's. Keeps no ledger.

A block is a locked file in a folder of this user; the lock dies with the process, so nothing has to be cleaned up. The
lock keeps trials of this user apart; against everybody else each port is bound once before the block is given out, and
a trial whose block is taken from under it asks for another. The same folder holds the block's temporary files, so that
what a killed trial left is removed by the next that takes the block.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from passloop.devices.locks import LOCK_FOLDER_VARIABLE, default_folder

from .failures import TrialFailure

__all__ = ["UNIT", "PortBlock", "port_folder", "taken_ports"]

UNIT = 16
"""Ports in one lock."""
LOWEST = 20_000
EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
HIGHEST_UNKNOWN = 32_768
STRIDE = 37
"""Steps in which units are tried from a process's own starting point, so that neighbours rarely meet."""


class PortBlock:
    """Ports `first` to `first + count - 1`, held until `release`, with an empty folder for temporary files."""

    def __init__(self, first: int, count: int, locks: list[int], temporary: Path) -> None:
        self.first = first
        self.count = count
        self.temporary = temporary
        self._locks = locks

    @classmethod
    def take(
        cls, count: int, folder: Path, *, temporary: Path | None = None, avoid: int = 0, begin: int | None = None
    ) -> PortBlock:
        """Take a block that nobody listens in; not the one that begins at `avoid`. The search begins at the port
        `begin`, else at this process's own place.

        Raises `TrialFailure` (port) if none is free, or `folder` is not to be trusted.
        """
        opened = _open_folder(folder)
        try:
            for first in _starts(count, begin):
                locks = [] if first == avoid else _lock(opened, first, count)
                if locks and not taken_ports(first, count):
                    return cls(first, count, locks, _emptied((temporary or _temporary_root()) / str(first)))
                _close(locks)
        finally:
            os.close(opened)
        raise TrialFailure("port", f"no {count} free ports in a row from {LOWEST} on; end what listens there")

    def release(self) -> None:
        """Give the block back and remove its temporary files. Releasing twice is allowed."""
        if self._locks:
            shutil.rmtree(self.temporary, ignore_errors=True)
        _close(self._locks)
        self._locks = []


def port_folder(environment: Mapping[str, str]) -> Path:
    """The folder for the locks of this user's trials."""
    named = environment.get(LOCK_FOLDER_VARIABLE, "")
    return (Path(named) if named else default_folder()) / f"passloop-ports-{os.geteuid()}"


def taken_ports(first: int, count: int) -> list[int]:
    """Those of these ports on which somebody listens."""
    return [port for port in range(first, first + count) if not _can_bind(port)]


def _starts(count: int, begin: int | None) -> Iterator[int]:
    """The first port of each block that could be."""
    place = os.getpid() * STRIDE if begin is None else (begin - LOWEST) // UNIT
    units = (_highest() - LOWEST) // UNIT
    fitting = units - -(-count // UNIT) + 1
    for step in range(max(0, fitting)):
        yield LOWEST + (place + step) % fitting * UNIT


def _highest() -> int:
    """Below the ports that the system gives to outgoing connections."""
    try:
        return max(LOWEST, int(EPHEMERAL.read_text(encoding="ascii").split()[0]))
    except (OSError, ValueError, IndexError):
        return HIGHEST_UNKNOWN


def _can_bind(port: int) -> bool:
    """Whether nobody listens there, on any address of either family."""
    for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
        try:
            _bind(family, address, port)
        except OSError as error:
            absent = family == socket.AF_INET6 and error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
            if not absent:
                return False
    return True


def _bind(family: socket.AddressFamily, address: str, port: int) -> None:
    """Listen there for a moment. What closed connections left behind is no hindrance. Raises `OSError`."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind((address, port))
        probe.listen(1)


def _lock(folder: int, first: int, count: int) -> list[int]:
    """The locks of the block's units; none if one of them is taken."""
    locks: list[int] = []
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        for unit in range(first, first + count, UNIT):
            locks.append(os.open(f"{unit}.lock", flags, 0o600, dir_fd=folder))
            fcntl.flock(locks[-1], fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        _close(locks)
        return []
    return locks


def _close(descriptors: list[int]) -> None:
    for descriptor in descriptors:
        os.close(descriptor)


def _open_folder(folder: Path) -> int:
    """The folder, made if it is not there: this user's own, closed to others, no link."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise _mistrust(folder, f"cannot be used: {error.strerror}") from None
    about = os.fstat(descriptor)
    if about.st_uid != os.geteuid() or stat.S_IMODE(about.st_mode) & 0o022:
        os.close(descriptor)
        raise _mistrust(folder, "belongs to, or can be written to by, somebody else")
    return descriptor


def _mistrust(folder: Path, why: str) -> TrialFailure:
    fix = f"remove it, or set {LOCK_FOLDER_VARIABLE} to another folder"
    return TrialFailure("port", f"the folder for locks of ports, {folder}, {why}; {fix}", final=True)


def _temporary_root() -> Path:
    return Path(tempfile.gettempdir()) / f"passloop-trials-{os.geteuid()}"


def _emptied(folder: Path) -> Path:
    """An empty folder of this user's own, in a parent that is this user's own."""
    parent = _open_folder(folder.parent)
    try:
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder.name, 0o700, dir_fd=parent)
    except OSError as error:
        raise _mistrust(folder, f"cannot be made: {error.strerror}") from None
    finally:
        os.close(parent)
    return folder
