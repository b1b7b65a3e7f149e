"""Forgets final tasks at a user's word. It never takes a live task, or one whose end a live task still waits
for.
"""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from passloop.kernel.ids import TaskId

from .records import decode_depends, encode_json, read_attempt
from .removed import note_removed
from .sql import statement

__all__ = ["remove_final_tasks"]

_STATEMENTS = (
    "delete_samples",
    "delete_attempts",
    "delete_payloads",
    "delete_results",
    "delete_cells",
    "delete_tasks",
)


def remove_final_tasks(connection: apsw.Connection, tasks: Iterable[int]) -> tuple[TaskId, ...]:
    """Remove those that may go and return them, inside the caller's transaction; empty runs go with them."""
    asked = encode_json(sorted(set(tasks)))
    final = [task for task, _ in connection.execute(statement("select_final_states"), (asked,))]
    kept = _waited_for(connection) | _not_ended(connection)
    gone = tuple(TaskId(task) for task in final if task not in kept)
    if gone:
        note_removed(connection, gone)
        _link_past(connection, frozenset(gone))
        runs = connection.execute(statement("select_runs_of"), (encode_json(gone),)).fetchall()
        for name in _STATEMENTS:
            connection.execute(statement(name), (encode_json(gone),))
        for name in ("delete_empty_runs", "delete_sources", "delete_unit_specs", "delete_units"):
            connection.execute(statement(name), (encode_json([run for (run,) in runs]),))
    return gone


def _link_past(connection: apsw.Connection, gone: frozenset[int]) -> None:
    """Let who was retried by a task that goes name the next retry that stays, or none: it may then be retried again."""
    links = {int(task): int(by) for task, by in connection.execute(statement("select_retried"))}
    changed: list[tuple[int | None, int]] = []
    for task in links.keys() - gone:
        by: int | None = links[task]
        while by in gone:
            by = links.get(by)
        if by != links[task]:
            changed.append((by, task))
    connection.executemany(statement("link_retry"), changed)


def _waited_for(connection: apsw.Connection) -> set[int]:
    lists = connection.execute(statement("select_live_depends"))
    return {one.task for (text,) in lists for one in decode_depends(text)}


def _not_ended(connection: apsw.Connection) -> set[int]:
    return {read_attempt(row).task for row in connection.execute(statement("select_live_attempts"))}
