"""Writes what the machine keeps of pools, groups, durations and itself. Inside the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from passloop.kernel.changes import DurationLearned, GroupChanged, PoolChanged, SettingChanged

from .sql import statement

__all__ = ["add_durations", "write_groups", "write_pools", "write_settings"]


def write_pools(connection: apsw.Connection, changed: Sequence[PoolChanged]) -> None:
    """Write pools as they are now."""
    connection.executemany(statement("upsert_pool"), changed)


def write_groups(connection: apsw.Connection, changed: Sequence[GroupChanged]) -> None:
    """Write groups as they are now."""
    connection.executemany(statement("upsert_group"), changed)


def write_settings(connection: apsw.Connection, changed: Sequence[SettingChanged]) -> None:
    """Write facts of the machine itself as they are now."""
    connection.executemany(statement("upsert_setting"), changed)


def add_durations(connection: apsw.Connection, learned: Sequence[DurationLearned]) -> None:
    """Write durations in the order in which they were learned."""
    connection.executemany(statement("insert_duration"), learned)
