"""Reads what can still be read of a damaged database. A page whose checksum does not hold gives no rows at
all, so what comes out is what was once written. It works on a copy, never on the database itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import apsw

from .connection import open_copy
from .records import Values

__all__ = ["TABLES", "readable_rows"]

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
    "units",
    "cells",
    "samples",
    "journal",
)
"""Every table of the schema, those that others refer to first."""

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


def readable_rows(path: Path) -> dict[str, list[Values]]:
    """All rows that can be read, by table; a table that is gone has none."""
    nothing: dict[str, list[Values]] = {table: [] for table in TABLES}
    try:
        connection = open_copy(path)
    except (apsw.Error, OSError):
        return nothing
    try:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
        return {table: _rows_of(connection, table) for table in TABLES}
    except apsw.Error:
        return nothing
    finally:
        connection.close()


def _rows_of(connection: apsw.Connection, table: str) -> list[Values]:
    if table in _WITHOUT_ROWID:
        return _from_both_ends(connection, table, _WITHOUT_ROWID[table])
    ends = _ends(connection, table)
    return [] if ends is None else list(_Search(connection, table).rows(*ends))


def _ends(connection: apsw.Connection, table: str) -> tuple[int, int] | None:
    """The least and greatest row number; 0 or a large number where the search itself fails."""
    found = []
    for direction, otherwise in (("ASC", 0), ("DESC", 2**40)):
        try:
            number = connection.execute(f"SELECT rowid FROM {table} ORDER BY rowid {direction} LIMIT 1").get
        except apsw.SQLError:
            return None
        except apsw.Error:
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
        self._failures = 0

    def rows(self, low: int, high: int) -> Iterator[Values]:
        """Rows from `low` to `high`, both included; what cannot be read whole is halved until one row is
        left.
        """
        if self._failures >= FAILURES_MOST:
            return
        try:
            found = self._connection.execute(self._query, (low, high)).fetchall()
        except apsw.Error:
            self._failures += 1
            if low < high:
                middle = (low + high) // 2
                yield from self.rows(low, middle)
                yield from self.rows(middle + 1, high)
            return
        yield from found


def _from_both_ends(connection: apsw.Connection, table: str, key: str) -> list[Values]:
    found: dict[Values, None] = {}
    for direction in ("ASC", "DESC"):
        try:
            for row in connection.execute(f"SELECT * FROM {table} ORDER BY {key} {direction}"):
                found[row] = None
        except apsw.Error:
            continue
        break
    return list(found)
