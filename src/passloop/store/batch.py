"""What the engine gives the store to keep at once, and how it is written inside one open transaction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from passloop.kernel.changes import (
    AttemptChanged,
    Change,
    DurationLearned,
    GroupChanged,
    PoolChanged,
    RunAdded,
    SettingChanged,
    SourceAdded,
    SourceChanged,
    TaskAdded,
    TaskChanged,
    UnitChanged,
)
from passloop.kernel.events import Event

from .attempts import write_attempts
from .journal import JournalRow
from .learned import add_durations, write_groups, write_pools, write_settings
from .runs import add_runs, add_tasks, change_tasks
from .sources import add_sources, change_sources, write_units

__all__ = ["Batch", "next_ids", "write_changes"]


@dataclass(frozen=True, slots=True)
class Batch:
    """One turn: the events it took, at which engine time, and what became different.

    `first_ids` are the next free run, task and attempt before the turn. `environments` are (id, JSON text),
    new or known; `results` are (task, JSON text, None if it has none any more). `at` is wall time in ms, for display.
    """

    events: tuple[Event, ...]
    now: int
    seed: int
    first_ids: tuple[int, int, int]
    changes: tuple[Change, ...]
    environments: tuple[tuple[str, str], ...] = ()
    results: tuple[tuple[int, str | None], ...] = ()
    at: int = 0


_WRITERS: tuple[tuple[type[Any], Callable[[apsw.Connection, Sequence[Any]], None]], ...] = (
    (RunAdded, add_runs),
    (SourceAdded, add_sources),
    (SourceChanged, change_sources),
    (UnitChanged, write_units),
    (TaskAdded, add_tasks),
    (TaskChanged, change_tasks),
    (AttemptChanged, write_attempts),
    (PoolChanged, write_pools),
    (GroupChanged, write_groups),
    (DurationLearned, add_durations),
    (SettingChanged, write_settings),
)


def write_changes(connection: apsw.Connection, changes: Sequence[Change]) -> None:
    """Write all changes, kind by kind."""
    kinds: dict[type[Any], list[Change]] = {kind: [] for kind, _ in _WRITERS}
    for change in changes:
        kinds[type(change)].append(change)
    for kind, write in _WRITERS:
        if kinds[kind]:
            write(connection, kinds[kind])


def next_ids(batch: Batch, last: JournalRow | None) -> tuple[int, int, int]:
    """The next free run, task and attempt after the batch; ids never come back, not even of removed tasks."""
    run, task, attempt = batch.first_ids
    if last is not None:
        run, task, attempt = (
            max(run, last.next_run),
            max(task, last.next_task),
            max(attempt, last.next_attempt),
        )
    for change in batch.changes:
        if type(change) is AttemptChanged:
            attempt = max(attempt, change.row.id + 1)
        elif type(change) is TaskAdded:
            task = max(task, change.row.id + 1)
        elif type(change) is RunAdded:
            run = max(run, change.row.id + 1)
    return run, task, attempt
