"""Brings a database to this version's schema. Each step is one transaction with its number, so that an
interrupted migration leaves the last whole step. It never touches a database that a newer passloop wrote.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import apsw

from passloop.crashpoints import crashpoint

from .connection import transaction
from .errors import StoreTooNew
from .sql import MIGRATIONS

__all__ = ["latest_version", "migrate", "migration_files", "stored_version", "too_new"]


def migration_files(folder: Path = MIGRATIONS) -> list[Path]:
    """The steps in order; the file of step 1 starts with 0001."""
    return sorted(folder.glob("[0-9][0-9][0-9][0-9]_*.sql"))


@cache
def latest_version() -> int:
    """The schema version that this passloop writes."""
    return len(migration_files())


def stored_version(connection: apsw.Connection) -> int:
    """The schema version of a database; 0 is an empty one."""
    return int(connection.pragma("user_version"))


def too_new(found: int, *, known: int | None = None) -> StoreTooNew:
    """The refusal of a store with schema `found`."""
    return StoreTooNew(
        f"the store has schema {found}, this passloop knows {latest_version() if known is None else known}",
        hint="Run the newer version again: in its checkout, pip install --upgrade .",
    )


def migrate(connection: apsw.Connection, folder: Path = MIGRATIONS) -> int:
    """Run the steps that are missing and return the version that was found. Raises `StoreTooNew`."""
    found = stored_version(connection)
    steps = migration_files(folder)
    if found > len(steps):
        raise too_new(found, known=len(steps))
    for number in range(found + 1, len(steps) + 1):
        with transaction(connection):
            connection.execute(steps[number - 1].read_text(encoding="utf-8"))
            connection.pragma("user_version", number)
            crashpoint("before_migration_commit")
        crashpoint("after_migration_commit")
    return found
