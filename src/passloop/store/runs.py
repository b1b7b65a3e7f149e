"""Writes runs and tasks. Inside the caller's transaction, and only final rows of a batch."""

from __future__ import annotations

from collections.abc import Sequence

import apsw

from passloop.kernel.changes import RunAdded, TaskAdded, TaskChanged

from .errors import StoreRefused
from .records import Values, encode_depends, encode_json, task_values
from .specs import intern_spec
from .sql import statement

__all__ = ["add_runs", "add_tasks", "change_tasks", "keep_results"]


def add_runs(connection: apsw.Connection, added: Sequence[RunAdded]) -> None:
    """Write new runs. An id in use is refused."""
    connection.executemany(statement("insert_run"), [(*one.row, one.about) for one in added])


def add_tasks(connection: apsw.Connection, added: Sequence[TaskAdded]) -> None:
    """Write new tasks with payload, spec and dependencies; an old task learns what it was retried by.

    An id in use is refused.
    """
    specs: dict[int, int] = {}
    rows: list[Values] = []
    for one in added:
        spec = specs.get(id(one.spec))
        if spec is None:
            spec = specs[id(one.spec)] = intern_spec(connection, one.spec)
        rows.append((*task_values(one.row), spec, encode_depends(one.after)))
    connection.executemany(statement("insert_task"), rows)
    connection.executemany(statement("insert_payload"), [(one.row.id, one.payload) for one in added])
    cells = [(one.row.id, *one.cell) for one in added if one.cell is not None]
    if cells:
        connection.executemany(statement("insert_cell"), cells)
    retries = [(one.row.id, one.row.retry_of) for one in added if one.row.retry_of is not None]
    if retries:
        connection.executemany(statement("link_retry"), retries)


def change_tasks(connection: apsw.Connection, changed: Sequence[TaskChanged]) -> None:
    """Write tasks as they are now. One that is not there, or final otherwise, is refused."""
    before = connection.total_changes()
    connection.executemany(statement("update_task"), [task_values(one.row) for one in changed])
    written = connection.total_changes() - before
    if written != len(changed):
        lacking = f"{len(changed) - written} of {len(changed)} changed tasks are not in the store"
        raise StoreRefused(lacking, hint="passloop doctor")


def keep_results(connection: apsw.Connection, results: Sequence[tuple[int, str | None]]) -> None:
    """Write what tasks left as their results: (task, JSON text, None for none any more)."""
    connection.executemany(statement("upsert_result"), [one for one in results if one[1] is not None])
    if gone := [task for task, text in results if text is None]:
        connection.execute(statement("delete_results"), (encode_json(gone),))
