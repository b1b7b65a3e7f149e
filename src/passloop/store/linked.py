"""Which SQLite is linked, for `doctor` to show. Whether it may be used is decided in `connection.py`."""

from __future__ import annotations

import apsw

__all__ = ["linked_sqlite"]


def linked_sqlite() -> str:
    """The version of the SQLite library in use, such as 3.54.1."""
    return apsw.sqlite_lib_version()
