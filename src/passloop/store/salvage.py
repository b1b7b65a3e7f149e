"""Reads what can still be read of a damaged database. A page whose checksum does not hold gives no rows at
all, so what comes out is what was once written. It works on a copy, never on the database itself. Only what SQLite says
of damage is unreadable: a copy that a full disk kept from being read says nothing of the rows.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import apsw

from .connection import (
    CHECKSUM_BYTES,
    PAGE_BYTES,
    has_log,
    is_cut_short,
    is_damage,
    leave_as_it_is,
    open_copy,
    translated,
)
from .identity import read_id
from .migrate import latest_version, stored_version
from .records import Values

__all__ = ["TABLES", "Salvaged", "readable_rows"]

TABLES = (
    "meta",
    "runs",
    "specs",
    "environments",
    "tasks",
    "payloads",
    "results",
    "attempts",
    "pools",
    "limit_steps",
    "task_groups",
    "settings",
    "durations",
    "sources",
    "unit_specs",
    "units",
    "cells",
    "samples",
    "journal",
)
"""Every table of the schema, those that others refer to first."""

_CUT_OFF = b"\xff" * PAGE_BYTES
FAILURES_MOST = 30_000
_WITHOUT_ROWID = {
    "meta": "name",
    "pools": "name",
    "limit_steps": "pool",
    "task_groups": "name",
    "settings": "name",
    "samples": "attempt",
    "units": "run",
}


class Salvaged(NamedTuple):
    """The rows that could be read, by table, the tables of which something could not be, and whose store it is."""

    rows: dict[str, list[Values]]
    unread: tuple[str, ...]
    home_id: str | None = None


def readable_rows(path: Path) -> Salvaged:
    """All rows that can be read in a copy, which is altered; a table that a store of an older schema has not got has
    none. Raises `StoreFull` and its kin, and `OSError`, if it cannot be told what is readable.
    """
    if not path.exists() and not is_cut_short(path):
        return _nothing()
    with translated(path):
        try:
            _fill_up(path)
            return _rows_in(path)
        except apsw.Error as error:
            if not _is_unreadable(error):
                raise
            return _nothing()


def _is_unreadable(error: apsw.Error) -> bool:
    """Damage, or a schema that does not have what it must have."""
    return is_damage(error) or isinstance(error, apsw.SQLError)


def _rows_in(path: Path) -> Salvaged:
    connection = open_copy(path)
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        version = stored_version(connection)
        if version == 0:
            return _nothing()
        found = {table: _rows_of(connection, table) for table in TABLES}
        home_id = _id_of(connection)
    finally:
        connection.close()
    older = version < latest_version()
    unread = tuple(table for table, read in found.items() if not (older if read is None else read.whole))
    return Salvaged({table: [] if read is None else read.rows for table, read in found.items()}, unread, home_id)


def _fill_up(path: Path) -> None:
    """Put pages whose checksum cannot hold where the file was cut: SQLite takes what lies behind its end for zeros, of
    which it checks nothing, and reads none of a file that is shorter than its first page says.
    """
    if is_cut_short(path):
        path.write_bytes(_CUT_OFF)  # or SQLite would take it for empty and delete the log
    with path.open("r+b") as file:
        head = file.read(PAGE_BYTES)
        whole = path.stat().st_size // PAGE_BYTES
        for number in range(whole, _pages_there_were(path, head)):
            file.seek(number * PAGE_BYTES)
            file.write(_CUT_OFF)


def _pages_there_were(path: Path, head: bytes) -> int:
    if not has_log(path):
        return int.from_bytes(head[28:32]) if _holds(head) else 0
    connection = open_copy(path)
    try:
        return int(connection.pragma("page_count"))
    finally:
        leave_as_it_is(connection)


def _holds(page: bytes) -> bool:
    """Whether a page is as it was written, by the sum that SQLite's checksum VFS leaves at its end."""
    one = two = 0
    words = iter(struct.unpack(f"<{PAGE_BYTES // 4}I", page.ljust(PAGE_BYTES, b"\0")))
    for first, second in itertools.islice(zip(words, words, strict=True), PAGE_BYTES // 8 - 1):
        one = (one + first + two) & 0xFFFFFFFF
        two = (two + second + one) & 0xFFFFFFFF
    return page[-CHECKSUM_BYTES:] == struct.pack("<2I", one, two)


def _id_of(connection: apsw.Connection) -> str | None:
    try:
        return read_id(connection)
    except apsw.Error as error:
        if not _is_unreadable(error):
            raise
        return None  # made by an earlier version, which kept it in a table that cannot be read


def _nothing() -> Salvaged:
    return Salvaged({table: [] for table in TABLES}, TABLES)


class _Read(NamedTuple):
    """What could be read of a table, and whether that is all."""

    rows: list[Values]
    whole: bool


def _rows_of(connection: apsw.Connection, table: str) -> _Read | None:
    """The rows of a table; None if the schema, as far as it can be read, has no such table."""
    try:
        if table in _WITHOUT_ROWID:
            return _from_both_ends(connection, table, _WITHOUT_ROWID[table])
        ends = _ends(connection, table)
        if ends is None:
            return _Read([], whole=True)
        search = _Search(connection, table)
        return _Read(list(search.rows(*ends)), whole=not search.failures)
    except apsw.SQLError:
        return None


def _ends(connection: apsw.Connection, table: str) -> tuple[int, int] | None:
    """The least and greatest row number, 0 or a large one where the search itself fails; None if there is no row."""
    found = []
    for direction, otherwise in (("ASC", 0), ("DESC", 2**40)):
        try:
            number = connection.execute(f"SELECT rowid FROM {table} ORDER BY rowid {direction} LIMIT 1").get
        except apsw.Error as error:
            if not is_damage(error):
                raise
            number = otherwise
        if number is None:
            return None
        found.append(int(number))
    return found[0], found[1]


class _Search:
    """Reads ranges of one table. It gives up after `FAILURES_MOST` reads in vain, which end every search."""

    def __init__(self, connection: apsw.Connection, table: str) -> None:
        self._connection = connection
        self._query = f"SELECT * FROM {table} WHERE rowid BETWEEN ? AND ? ORDER BY rowid"
        self._one = f"SELECT * FROM {table} WHERE rowid = ?"
        self.failures = 0

    def rows(self, low: int, high: int) -> Iterator[Values]:
        """Rows from `low` to `high`, both included; what cannot be read whole is halved until one row is
        left.
        """
        if self.failures >= FAILURES_MOST:
            return
        try:
            found = self._read(low, high)
        except apsw.Error as error:
            if not is_damage(error):
                raise
            self.failures += 1
            if low < high:
                middle = (low + high) // 2
                yield from self.rows(low, middle)
                yield from self.rows(middle + 1, high)
            return
        yield from found

    def _read(self, low: int, high: int) -> list[Values]:
        """A range looks at the row behind it, too, which may lie in a page that is gone; a single row does not."""
        if low == high:
            return self._connection.execute(self._one, (low,)).fetchall()
        return self._connection.execute(self._query, (low, high)).fetchall()


def _from_both_ends(connection: apsw.Connection, table: str, key: str) -> _Read:
    found: dict[Values, None] = {}
    for direction in ("ASC", "DESC"):
        try:
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY {key} {direction}"):
                found[row] = None
        except apsw.Error as error:
            if not is_damage(error):
                raise
            continue
        return _Read(list(found), whole=direction == "ASC")
    return _Read(list(found), whole=False)
