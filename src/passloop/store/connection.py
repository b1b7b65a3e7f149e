"""Opens SQLite and translates its errors. It owns every setting of a connection and knows nothing of tables.

All stores use SQLite's checksum VFS: eight bytes at the end of each page prove that the page is as it was
written, so that a flipped bit is an error and never a wrong answer. The write-ahead log has checksums of its
own.
"""

from __future__ import annotations

import os
import shutil
from contextlib import ExitStack
from functools import cache
from pathlib import Path

import apsw
import apsw.sqlite_extra

from .errors import (
    FREE_SPACE,
    HomeRefused,
    NotStorable,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFull,
    StoreOutOfFiles,
    StoreRefused,
    StoreTooNew,
    StoreUnreadable,
)

__all__ = [
    "check_version",
    "has_log",
    "is_cut_short",
    "is_damage",
    "leave_as_it_is",
    "open_copy",
    "open_reading",
    "open_writing",
    "transaction",
    "translated",
]

BUSY_MILLIS = 10_000
CHECKPOINT_PAGES = 2_000
LOG_LIMIT_BYTES = 64 << 20
CHECKSUM_BYTES = 8
PAGE_BYTES = 4_096
"""What SQLite makes a page of where nobody says otherwise; its checksum is at the end of each."""
HEADER_BYTES = 100
"""How long the header is with which SQLite's files begin."""
FILES_OF_A_STORE = 6
"""A writer and a reader, each with the database, its log and its index."""
CHECKSUM_VFS = "cksmvfs"

_FIRST_BAD, _LAST_BAD = (3, 7, 0), (3, 51, 2)
_BACKPORTS = {(3, 44): 6, (3, 50): 7}
"""Releases of older branches from which on the WAL-reset defect is fixed: branch -> first good patch."""

_DAMAGE_CODES = {
    apsw.SQLITE_IOERR_DATA,
    apsw.SQLITE_IOERR_CORRUPTFS,
    apsw.SQLITE_IOERR_SHORT_READ,
}
_UNREADABLE_CODES = {apsw.SQLITE_IOERR_READ, apsw.SQLITE_IOERR_FSTAT, apsw.SQLITE_IOERR_SEEK}
REPAIR_HINT = "Run `passloop doctor --repair`; it keeps the damaged files beside the repaired ones."


def check_version(version: str) -> None:
    """Refuse a SQLite whose write-ahead log can lose commits (3.7.0 to 3.51.2 but for fixed branches)."""
    parts = tuple(int(part) for part in version.split(".")[:3])
    if not _FIRST_BAD <= parts <= _LAST_BAD:
        return
    fixed_from = _BACKPORTS.get((parts[0], parts[1]))
    if fixed_from is not None and parts[2] >= fixed_from:
        return
    raise StoreTooNew(
        f"SQLite {version} can lose commits (defect in its write-ahead log, fixed in 3.51.3)",
        hint="Install the bundled one: python -m pip install --upgrade apsw",
    )


@cache
def _load_checksums() -> None:
    check_version(apsw.sqlite_lib_version())
    try:
        passing = apsw.Connection(":memory:")
        apsw.sqlite_extra.load(passing, "cksumvfs")
        passing.close()
    except (apsw.sqlite_extra.NotAvailable, apsw.ExtensionLoadingError) as error:
        raise StoreError(
            "this apsw was built without SQLite's checksum VFS",
            hint="Install the bundled one: python -m pip install --force-reinstall apsw",
        ) from error


def has_log(path: Path) -> bool:
    """Whether a log that says something is beside a database; from then on the database has a page, for good."""
    try:
        return path.with_name(path.name + "-wal").stat().st_size > 0
    except FileNotFoundError:
        return False


def is_cut_short(path: Path) -> bool:
    """Whether a database is gone, or ends in its header, while its log is there: SQLite takes one of a byte or none for
    empty, and deletes the log, which may be the only copy of all that was committed.
    """
    if not has_log(path):  # asked first: who makes the store at this moment has its first page before its log
        return False
    return not path.exists() or path.stat().st_size < HEADER_BYTES


def _require_header(path: Path) -> None:
    if is_cut_short(path):
        raise StoreDamaged(f"{path} was cut, or is gone, but its log is there", hint=REPAIR_HINT)


def open_writing(path: Path) -> apsw.Connection:
    """The one writing connection of a store; makes the file if it is not there."""
    _load_checksums()
    _require_header(path)
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    with translated(path):
        connection = apsw.Connection(str(path), flags=flags, vfs=CHECKSUM_VFS)
        try:
            _prepare_writing(connection, path)
        except BaseException:
            leave_as_it_is(connection)
            raise
    return connection


def leave_as_it_is(connection: apsw.Connection) -> None:
    """Close a store that will not do: its log stays beside it for a repair, which else would be written back, as far as
    it is readable, and deleted.
    """
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.close()


def _prepare_writing(connection: apsw.Connection, path: Path) -> None:
    connection.set_busy_timeout(BUSY_MILLIS)
    if not connection.pragma("page_count"):  # not by its size: what a power cut left of its making is rolled back here
        connection.reserve_bytes(reserve=CHECKSUM_BYTES)
    if connection.pragma("journal_mode", "wal") != "wal":
        raise StoreError(f"{path} cannot use a write-ahead log", hint="Choose a home on a local disk.")
    connection.pragma("synchronous", "full")
    connection.pragma("wal_autocheckpoint", CHECKPOINT_PAGES)
    connection.pragma("journal_size_limit", LOG_LIMIT_BYTES)
    connection.pragma("foreign_keys", False)
    connection.pragma("cell_size_check", True)
    _require_checksums(connection, path)


def open_copy(path: Path) -> apsw.Connection:
    """A connection to a file that is being filled by a backup or a repair; it appears to nobody until it is
    done.
    """
    _load_checksums()
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE, vfs=CHECKSUM_VFS)
    if path.stat().st_size == 0:
        connection.reserve_bytes(reserve=CHECKSUM_BYTES)
    return connection


def open_reading(path: Path) -> apsw.Connection:
    """A connection that can only read and never checkpoints; the file must be there."""
    _load_checksums()
    _require_header(path)
    with translated(path):
        connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY, vfs=CHECKSUM_VFS)
        try:
            connection.set_busy_timeout(BUSY_MILLIS)
            connection.pragma("query_only", True)
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
            _require_checksums(connection, path)
        except BaseException:
            connection.close()
            raise
    return connection


def _require_checksums(connection: apsw.Connection, path: Path) -> None:
    verified = str(connection.pragma("checksum_verification")) == "1"
    if connection.reserve_bytes() != CHECKSUM_BYTES or not verified:
        raise StoreDamaged(f"{path} has no page checksums: its first page was altered", hint=REPAIR_HINT)


class _Transaction:
    __slots__ = ("_begin", "_connection")

    def __init__(self, connection: apsw.Connection, begin: str) -> None:
        self._connection = connection
        self._begin = begin

    def __enter__(self) -> None:
        self._connection.execute(self._begin)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")


def transaction(connection: apsw.Connection, *, begin: str = "BEGIN IMMEDIATE") -> _Transaction:
    """All or nothing. What goes wrong inside or at the commit undoes everything."""
    return _Transaction(connection, begin)


class _Translation:
    __slots__ = ("_path",)

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, apsw.Error):
            raise _translate(error, self._path) from error
        if isinstance(error, UnicodeEncodeError | OverflowError):
            hint = "Use text that is valid UTF-8, and numbers of at most 64 bits."
            raise NotStorable(f"a value that the store cannot keep: {error}", hint=hint) from error


def translated(path: Path) -> _Translation:
    """Turn SQLite's errors into ours; `path` is the database they are about."""
    return _Translation(path)


def _no_room(path: Path) -> bool:
    """Whether the disk under `path` has less room than a few pages: SQLite says that as an I/O error too."""
    try:
        return shutil.disk_usage(path.parent).free < 16 * 4_096
    except OSError:
        return False


def _why_no_file_opens() -> int | None:
    """The errno of opening as many files as a store has: SQLite tells a want of descriptors as one of its own file."""
    with ExitStack() as opened:
        try:
            for _ in range(FILES_OF_A_STORE):
                opened.callback(os.close, os.open(os.devnull, os.O_RDONLY))
        except OSError as error:
            return error.errno
    return None


def is_damage(error: apsw.Error) -> bool:
    """Whether SQLite says that what it read is not what was written, and not that it could not read or write."""
    return (
        isinstance(error, apsw.CorruptError | apsw.NotADBError) or getattr(error, "extendedresult", 0) in _DAMAGE_CODES
    )


def _translate(error: apsw.Error, path: Path) -> StoreError:
    if is_damage(error):
        return StoreDamaged(f"{path} is damaged: {error}", hint=REPAIR_HINT)
    if getattr(error, "extendedresult", 0) in _UNREADABLE_CODES:
        return StoreUnreadable(f"{path} cannot be read: {error}", home=path.parent)
    if isinstance(error, apsw.FullError | apsw.IOError):
        why = "disk full: " if isinstance(error, apsw.FullError) or _no_room(path) else ""
        return StoreFull(f"{why}{path} cannot be written: {error}", hint=FREE_SPACE)
    if isinstance(error, apsw.ConstraintError):
        return StoreRefused(f"{path} refused a row: {error}", hint="passloop doctor")
    if isinstance(error, apsw.BusyError | apsw.LockedError):
        return StoreBusy(f"{path} is locked by another process", hint="Close other programs that have it open.")
    if isinstance(error, apsw.CantOpenError) and (number := _why_no_file_opens()):
        what = f"{path} cannot be opened: {os.strerror(number)}"
        return StoreOutOfFiles(what, hint="passloop doctor", number=number)
    if isinstance(error, apsw.CantOpenError | apsw.ReadOnlyError | apsw.PermissionsError | apsw.AuthError):
        return HomeRefused(f"{path} cannot be opened: {error}", hint=f"Check it with: ls -ld {path.parent}")
    return StoreDamaged(f"{path} does not have the expected contents: {error}", hint=REPAIR_HINT)
