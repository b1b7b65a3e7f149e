"""Writes attempts, fenced: one that ended is never overwritten, and an id never changes its epoch or task."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from passloop.kernel.changes import AttemptChanged

from .records import attempt_values
from .sql import statement

__all__ = ["write_attempts"]


def write_attempts(connection: apsw.Connection, changed: Sequence[AttemptChanged]) -> None:
    """Write attempts as they are now, new ones too. Inside the caller's transaction."""
    connection.executemany(statement("upsert_attempt"), [attempt_values(one.row) for one in changed])
