"""Who a home is: its id, by which all that runs for it is known. Kept in the database's first page, as SQLite's
`application_id`, and in `meta`, where earlier versions look for it.

Whatever can be read of a database can be read only with its first page. So no repair brings back an attempt without the
id that the attempt was started under: it would be taken for lost, and started once more beside itself.
"""

from __future__ import annotations

import re
import secrets

import apsw

from .connection import REPAIR_HINT
from .errors import StoreDamaged
from .sql import statement

__all__ = ["check_id", "new_id", "read_id", "write_id"]

_DIGITS = re.compile("[0-9a-f]{8}")
_HALF = 1 << 31


def new_id() -> str:
    """An id for a new home: eight hexadecimal digits, not all of them 0."""
    return f"{1 + secrets.randbelow(2**32 - 1):08x}"


def read_id(connection: apsw.Connection) -> str | None:
    """The id by the first page, or that in `meta` if an earlier version made the database; None if it has none."""
    return _by_first_page(connection) or _by_meta(connection)


def check_id(connection: apsw.Connection) -> None:
    """Refuse a database that has two ids: one of them is not that of what runs. Raises `StoreDamaged`."""
    first, other = _by_first_page(connection), _by_meta(connection)
    if first and other and first != other:
        raise StoreDamaged(f"the store says that this home is {first}, and that it is {other}", hint=REPAIR_HINT)


def write_id(connection: apsw.Connection, home_id: str) -> None:
    """Keep `home_id`, in the open transaction. One that no version makes is kept in `meta` alone."""
    if home_id == _by_first_page(connection) == _by_meta(connection):
        return
    connection.execute(statement("upsert_meta"), ("home_id", home_id))
    if _DIGITS.fullmatch(home_id):
        number = int(home_id, 16)
        connection.pragma("application_id", number - 2 * _HALF if number >= _HALF else number)


def _by_first_page(connection: apsw.Connection) -> str:
    number = int(connection.pragma("application_id"))
    return f"{number % (2 * _HALF):08x}" if number else ""


def _by_meta(connection: apsw.Connection) -> str | None:
    found = connection.execute(statement("select_meta"), ("home_id",)).fetchone()
    return None if found is None else str(found[0])
