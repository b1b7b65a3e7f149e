"""Keeps two engines on one box (two homes, two users) off each other's devices, by locks on files. Locks
nothing else.

Each (device, home) has a file `passloop-<uuid>.<home>.lock`. It is flocked shared as long as any lease of the
home on the device lasts: by the engine, and by each shim through the descriptor that it is sent, so that the
lock outlives the engine; by a process that holds a lease through a descriptor of its own. A home takes a device
only if, while it holds `passloop-<uuid>.gate` exclusively, no other home's file is locked. An engine lets go of a
lock by closing only: unlocking would undo it for the shims too. What an engine's process forks keeps none of its
locks; what the holder of a lease forks keeps the lease's, for it may use the GPUs.

The folder must be sticky when others may write to it, files lie in it directly (so no user owns a folder that
others rely on), and no link is ever followed. A file of another user that cannot be opened counts as locked.
Any user of the box can hold these locks out of spite; that keeps devices unused, it never double-books one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import secrets
import stat
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from passloop.forking import close_own, dup_own, open_own

from .errors import LockFolderRefused
from .procfs import user_name

__all__ = ["LOCK_FOLDER_VARIABLE", "DeviceLocks", "OtherHome", "default_folder", "device_locks"]

LOCK_FOLDER_VARIABLE = "PASSLOOP_LOCK_DIR"
SYSTEM_FOLDERS = (Path("/run/lock"), Path("/tmp"))
GATE_PATIENCE_S = 0.25
"""How long a take waits for another engine's short exclusive section on the same device."""

DECIDING = "another engine is deciding about it"

READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
SAFE = re.compile(r"[^A-Za-z0-9-]")


@dataclass(frozen=True, slots=True)
class OtherHome:
    """Another home that has a device. Both are empty when it could not be told; `trouble` then says why."""

    home_id: str = ""
    user: str = ""
    trouble: str = ""


@dataclass(slots=True)
class _Held:
    descriptor: int
    leases: int


def default_folder() -> Path:
    """The system's own folder for locks where it is open to all users, else the common temporary folder."""
    for folder in SYSTEM_FOLDERS:
        with contextlib.suppress(OSError):
            about = os.stat(folder, follow_symlinks=False)
            if stat.S_ISDIR(about.st_mode) and about.st_mode & stat.S_ISVTX and about.st_mode & stat.S_IWOTH:
                return folder
    return SYSTEM_FOLDERS[-1]


def device_locks(home_id: str, environ: Mapping[str, str], *, virtual: bool) -> DeviceLocks | None:
    """The locks that an engine of this home is to use; None for virtual devices unless a folder was named.

    Raises `LockFolderRefused`.
    """
    named = environ.get(LOCK_FOLDER_VARIABLE, "")
    if virtual and not named:
        return None
    return DeviceLocks(home_id, Path(named) if named else default_folder())


class DeviceLocks:
    """One home's locks, in `folder`. Safe to use from several threads. Raises `LockFolderRefused` for a folder
    not to be trusted.

    With `forked_too` the children that this process forks keep what it has locked.
    """

    def __init__(self, home_id: str, folder: Path, *, forked_too: bool = False) -> None:
        if not home_id or SAFE.search(home_id):
            raise ValueError("a home id is letters, digits and dashes")
        self.home_id = home_id
        self.folder = folder.absolute()
        self._folder = _open_folder(folder)
        self._keep: Callable[[int], int] = os.dup if forked_too else dup_own
        self._close: Callable[[int], None] = os.close if forked_too else close_own
        self._held: dict[str, _Held] = {}
        self._guard = threading.Lock()

    def take(self, uuid: str) -> int | None:
        """Lock the device for one more lease of this home; None when another home has it, or decides about it
        now.

        The descriptor is for a shim, which keeps it open while its attempt lasts; no program that this process
        starts inherits it, for it would keep the device for its own life. Give each successful take back with
        `release`. Never waits longer than a quarter of a second.
        """
        with self._guard:
            held = self._held.get(uuid) or self._take_first_or_none(uuid)
            if held is None:
                return None
            held.leases += 1
            self._held[uuid] = held
            return held.descriptor

    def release(self, uuid: str) -> None:
        """End one lease. The last one lets go of the engine's part; shims that still live keep theirs."""
        with self._guard:
            held = self._held.get(uuid)
            if held is None:
                return
            held.leases -= 1
            if held.leases == 0:
                del self._held[uuid]
                self._close(held.descriptor)

    def descriptor(self, uuid: str) -> int | None:
        """The descriptor of a device that is taken, for one more process of its leases."""
        with self._guard:
            held = self._held.get(uuid)
            return None if held is None else held.descriptor

    def taken_elsewhere(self, uuid: str) -> OtherHome | None:
        """The other home that has the device now, if any. An answer for people and looks: only `take`
        decides.
        """
        with self._guard:
            if uuid in self._held:
                return None
            try:
                with self._gate(uuid) as mine:
                    return self._other_home(uuid) if mine else OtherHome(trouble=DECIDING)
            except (OSError, LockFolderRefused) as error:
                return OtherHome(trouble=f"its lock cannot be used: {error}")

    def close(self) -> None:
        """Let go of everything this engine holds; shims keep theirs."""
        with self._guard:
            for held in self._held.values():
                self._close(held.descriptor)
            self._held.clear()
            if self._folder >= 0:
                os.close(self._folder)
                self._folder = -1

    def give_back(self) -> None:
        """As `close`, and unlocked for whoever inherited a descriptor: a lease that is given back ends for them too."""
        with self._guard:
            for held in self._held.values():
                fcntl.flock(held.descriptor, fcntl.LOCK_UN)
        self.close()

    def _take_first_or_none(self, uuid: str) -> _Held | None:
        """What cannot be locked is not taken; `taken_elsewhere` tells people why."""
        try:
            return self._take_first(uuid)
        except (OSError, LockFolderRefused):
            return None

    def _take_first(self, uuid: str) -> _Held | None:
        with self._gate(uuid) as mine:
            if not mine or self._other_home(uuid) is not None:
                return None
            name = f"{_stem(uuid)}.{self.home_id}.lock"
            descriptor = self._open_shared(name)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return _Held(self._keep(descriptor), 0)
            except BlockingIOError:
                return None
            finally:
                close_own(descriptor)

    @contextlib.contextmanager
    def _gate(self, uuid: str) -> Iterator[bool]:
        """The short exclusive section on a device; yields False when another engine stays in it for too
        long.
        """
        descriptor = self._open_shared(f"{_stem(uuid)}.gate")
        try:
            yield _locked_soon(descriptor)
        finally:
            close_own(descriptor, unlocked=True)

    def _other_home(self, uuid: str) -> OtherHome | None:
        """The first other home whose file is locked. Inside the gate only. Our own user's idle files are
        removed.
        """
        start, own = f"{_stem(uuid)}.", f"{_stem(uuid)}.{self.home_id}.lock"
        for name in sorted(os.listdir(self._folder)):
            if not name.startswith(start) or not name.endswith(".lock") or name == own:
                continue
            owner = self._owner_if_locked(name)
            if owner is not None:
                return OtherHome(name[len(start) : -len(".lock")][:16], user_name(owner))
        return None

    def _owner_if_locked(self, name: str) -> int | None:
        try:
            descriptor = open_own(name, READ, dir_fd=self._folder)
        except FileNotFoundError:
            return None
        except OSError:
            return self._owner(name)
        try:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                return None
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if about.st_uid == os.geteuid():
                os.unlink(name, dir_fd=self._folder)
        except BlockingIOError:
            return about.st_uid
        finally:
            close_own(descriptor, unlocked=True)
        return None

    def _owner(self, name: str) -> int | None:
        """The owner of a file that cannot be opened: it counts as locked, unless it is no plain file."""
        try:
            about = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        return about.st_uid if stat.S_ISREG(about.st_mode) else None

    def _open_shared(self, name: str) -> int:
        """Open a file that all users may open for reading (and so lock), made whole before it gets its
        name.
        """
        try:
            descriptor = open_own(name, READ, dir_fd=self._folder)
        except FileNotFoundError:
            self._make(name)
            descriptor = open_own(name, READ, dir_fd=self._folder)
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            close_own(descriptor)
            raise LockFolderRefused(f"{name} in the folder for device locks is no plain file; remove it.")
        return descriptor

    def _make(self, name: str) -> None:
        draft = f"{name}.{secrets.token_hex(8)}"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(draft, flags, 0o600, dir_fd=self._folder)
        try:
            os.fchmod(descriptor, 0o644)
            with contextlib.suppress(FileExistsError):
                os.link(draft, name, src_dir_fd=self._folder, dst_dir_fd=self._folder, follow_symlinks=False)
        finally:
            os.unlink(draft, dir_fd=self._folder)
            os.close(descriptor)


def _stem(uuid: str) -> str:
    return "passloop-" + SAFE.sub("_", uuid)


def _open_folder(folder: Path) -> int:
    fix = f"Set {LOCK_FOLDER_VARIABLE} to a folder of root's with mode 1777, the same one for every user."
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        why = "is a link" if error.errno in (errno.ELOOP, errno.ENOTDIR) and folder.is_symlink() else ""
        why = why or f"cannot be opened ({error.strerror})"
        raise LockFolderRefused(f"The folder for device locks, {folder}, {why}. {fix}") from error
    about = os.fstat(descriptor)
    why = ""
    if about.st_uid not in (0, os.geteuid()):
        why = "belongs to another user, who could remove locks"
    elif about.st_mode & (stat.S_IWOTH | stat.S_IWGRP) and not about.st_mode & stat.S_ISVTX:
        why = "can be written to by others and is not sticky, so they could remove locks"
    if why:
        os.close(descriptor)
        raise LockFolderRefused(f"The folder for device locks, {folder}, {why}. {fix}")
    return descriptor


def _locked_soon(descriptor: int) -> bool:
    """Lock exclusively, at once or within the gate's patience. On True the lock lasts until it is closed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return _locked_by_waiting(descriptor)
    return True


def _locked_by_waiting(descriptor: int) -> bool:
    """Wait in a thread of its own, since flock knows no time limit; one that comes too late unlocks again.

    It has the lock before the caller unlocks, or finds that it was given up. Where the system lets no thread begin it
    is as if it came too late: who asked tries again.
    """
    waiting = dup_own(descriptor)
    locked, given_up = threading.Event(), threading.Event()

    def wait() -> None:
        try:
            fcntl.flock(waiting, fcntl.LOCK_EX)
            locked.set()
        finally:
            close_own(waiting, unlocked=given_up.is_set())

    try:
        threading.Thread(target=wait, name="passloop-device-gate", daemon=True).start()
    except RuntimeError:
        close_own(waiting)
    if locked.wait(GATE_PATIENCE_S):
        return True
    given_up.set()
    return False
