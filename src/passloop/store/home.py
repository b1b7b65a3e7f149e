"""The home: one directory that holds everything of one engine. It owns the paths in it, the checks that make
it safe to use, and the lock that makes one engine its owner. It never opens what the paths name.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from passloop.forking import close_own, open_own

from .errors import HomeBusy, HomeRefused, full_disk

__all__ = [
    "NETWORK_FILESYSTEMS",
    "Home",
    "HomeLock",
    "filesystem_magic",
    "owner_of",
    "socket_address",
    "sync_directory",
]

NETWORK_FILESYSTEMS = {
    0x6969: "NFS",
    0xFF534D42: "CIFS",
    0xFE534D42: "SMB2",
    0x517B: "SMB",
    0x00C36400: "CephFS",
    0x0BD00BD0: "Lustre",
    0x47504653: "GPFS",
    0x013661: "OCFS2",
}
"""What `statfs` calls file systems on which locks or shared memory do not do what SQLite needs."""

SOCKET_PATH_BYTES = 107
"""The longest path a Unix socket address can hold."""


@dataclass(frozen=True, slots=True)
class Home:
    """The directory of one engine and the paths in it."""

    path: Path

    @property
    def database(self) -> Path:
        return self.path / "store.sqlite"

    @property
    def backup(self) -> Path:
        """The last backup, from which a damaged store is repaired."""
        return self.path / "backup.sqlite"

    @property
    def repaired(self) -> Path:
        """A repaired store that has not taken the damaged one's place yet."""
        return self.path / "store.sqlite.repaired"

    @property
    def mark(self) -> Path:
        """Says how far the store had come, so that a cut-off log is noticed."""
        return self.path / "mark"

    @property
    def runs(self) -> Path:
        return self.path / "runs"

    @property
    def socket(self) -> Path:
        return self.path / "socket"

    @property
    def token(self) -> Path:
        return self.path / "token"

    @property
    def lock(self) -> Path:
        return self.path / "lock"

    @property
    def ballast(self) -> Path:
        return self.path / "ballast"

    def prepare(self, *, magic: Callable[[Path], int] | None = None) -> None:
        """Make the home with mode 0700 if it is not there, and check it. Raises `HomeRefused`, `StoreFull`.

        `magic` tells the type of the file system under a path; the system is asked if it is not given.
        """
        try:
            new = [path for path in (self.path, *self.path.parents) if not path.exists()]
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            for path in new:  # or a power cut could take the home with all that was acknowledged
                with contextlib.suppress(PermissionError):  # who may write there need not be able to read
                    sync_directory(path.parent)
        except OSError as error:
            refused = HomeRefused(
                f"the home {self.path} cannot be made: {error.strerror}",
                hint="Choose another with --home or PASSLOOP_HOME.",
            )
            raise full_disk(self.path, error) or refused from error
        self.check(magic=magic)

    def make_runs(self) -> None:
        """Make the folder of runs with mode 0700, or give it that if others may write in it: those between it and an
        attempt's own are made by the umask.
        """
        with contextlib.suppress(OSError):  # the disk is full: then the first attempt makes it
            with contextlib.suppress(FileExistsError):
                self.runs.mkdir(mode=0o700)
            self._close_runs_to_others()

    def _close_runs_to_others(self) -> None:
        """An earlier version made the folder by the umask alone. A link is left as it is."""
        found = self.runs.lstat()
        is_open = found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
        if stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and is_open:
            self.runs.chmod(0o700)

    def check(self, *, magic: Callable[[Path], int] | None = None) -> None:
        """Refuse a home that others own or may change, or that lies on a network. Raises `HomeRefused`."""
        try:
            found = self.path.stat()
        except OSError as error:
            hint = "Choose another with --home, or mend its permissions."
            raise HomeRefused(f"the home {self.path} cannot be read: {error.strerror}", hint=hint) from error
        if not stat.S_ISDIR(found.st_mode):
            raise HomeRefused(f"the home {self.path} is not a directory", hint="Choose another with --home.")
        if found.st_uid != os.geteuid():
            raise HomeRefused(
                f"the home {self.path} belongs to user {found.st_uid}, you are {os.geteuid()}",
                hint="Choose your own with --home or PASSLOOP_HOME.",
            )
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise HomeRefused(
                f"the home {self.path} can be changed by others (mode {stat.S_IMODE(found.st_mode):04o})",
                hint=f"Run: chmod 700 {self.path}",
            )
        self._refuse_network((magic or filesystem_magic)(self.path))

    def _refuse_network(self, magic: int) -> None:
        name = NETWORK_FILESYSTEMS.get(magic)
        if name is not None:
            raise HomeRefused(
                f"the home {self.path} is on a network file system ({name}), where its locks do not hold",
                hint="Choose one on a local disk with --home or PASSLOOP_HOME.",
            )


def filesystem_magic(path: Path) -> int:
    """The type number of the file system under `path`, as `statfs` tells it."""
    libc = ctypes.CDLL(None, use_errno=True)
    answer = ctypes.create_string_buffer(512)
    if libc.statfs(os.fsencode(path), answer) != 0:
        number = ctypes.get_errno()
        hint = "Choose another home with --home."
        raise HomeRefused(f"the file system of {path} cannot be told: {os.strerror(number)}", hint=hint)
    return ctypes.c_long.from_buffer(answer).value & 0xFFFFFFFF


def sync_directory(path: Path) -> None:
    """Make names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """An address for `bind` or `connect` that means the socket at `path`, however long that path is.

    It holds only inside the `with` block: a long path is reached through an open descriptor of its directory.
    """
    if len(os.fsencode(path)) <= SOCKET_PATH_BYTES:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


class HomeLock:
    """Makes this process the only owner of a home until `release` or its end, whatever that end is, and whatever it
    has forked.
    """

    __slots__ = ("_descriptor", "_path")

    def __init__(self, home: Home) -> None:
        self._path = home.lock
        self._descriptor = -1

    def acquire(self) -> None:
        """Take the lock at once. Raises `HomeBusy` with the owner's pid if another process has it, `StoreFull`
        if the disk has no room for ours.
        """
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            descriptor = open_own(self._path, flags, 0o600)
        except OSError as error:
            refused = HomeRefused(f"{self._path} cannot be opened: {error.strerror}", hint=f"Look: ls -l {self._path}")
            raise full_disk(self._path, error) or refused from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = _read_pid(descriptor)
            close_own(descriptor)
            raise HomeBusy(
                f"another engine (pid {pid or 'unknown'}) owns {self._path.parent}",
                hint="Use it, or end it with: passloop down",
                pid=pid,
            ) from error
        try:
            _write_pid(descriptor)
        except OSError as error:
            close_own(descriptor)
            raise full_disk(self._path, error) or error from None
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock back. The file stays: removing it would let two processes lock two files."""
        if self._descriptor >= 0:
            close_own(self._descriptor, unlocked=True)
            self._descriptor = -1

    def __enter__(self) -> HomeLock:
        self.acquire()
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def owner_of(home: Home) -> int | None:
    """The process that owns `home` now (0: one that has not said who it is yet), None if nobody does.

    The lock's file is opened for reading only, so that a look does not tell those who watch it for its release.
    """
    try:
        descriptor = open_own(home.lock, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read_pid(descriptor)
    finally:
        close_own(descriptor, unlocked=True)
    return None


def _write_pid(descriptor: int) -> None:
    """In the room that the last owner's has, which would be given to others if the file were emptied first."""
    os.ftruncate(descriptor, os.pwrite(descriptor, b"%d\n" % os.getpid(), 0))


def _read_pid(descriptor: int) -> int:
    text = os.pread(descriptor, 32, 0).strip()
    return int(text) if text.isdigit() else 0
