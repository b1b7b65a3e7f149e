"""Reads everything live, for a machine that is rebuilt. It never reads what is over."""

from __future__ import annotations

from collections.abc import Iterable

import apsw

from passloop.kernel.changes import DurationLearned, GroupChanged, PoolChanged, SettingChanged
from passloop.kernel.saved import Saved, SavedTask
from passloop.kernel.source_rows import Cell
from passloop.kernel.tasks import AttemptRow, RunRow, TaskSpec

from .connection import REPAIR_HINT
from .errors import StoreDamaged
from .journal import JournalRow
from .records import TASK_FIELDS, decode_depends, decode_spec, encode_json, read_attempt, read_task
from .sources import load_cells, load_sources, load_units
from .sql import statement

__all__ = ["load_saved"]


def load_saved(connection: apsw.Connection, last: JournalRow | None) -> Saved:
    """Everything live, inside the caller's transaction; `last` is the journal's newest row."""
    tasks = _load_tasks(connection)
    counters = {} if last is None else _counters(last)
    return Saved(
        tasks=tasks,
        runs=tuple(RunRow._make(row) for row in connection.execute(statement("select_live_runs"))),
        attempts=_load_attempts(connection),
        pools=tuple(PoolChanged._make(row) for row in connection.execute(statement("select_pools"))),
        groups=tuple(_group(*row) for row in connection.execute(statement("select_groups"))),
        durations=tuple(DurationLearned._make(row) for row in connection.execute(statement("select_durations"))),
        settings=tuple(SettingChanged._make(row) for row in connection.execute(statement("select_settings"))),
        known=_load_known(connection, tasks),
        sources=load_sources(connection),
        units=load_units(connection),
        **counters,
    )


def _counters(last: JournalRow) -> dict[str, int]:
    return {
        "next_run": last.next_run,
        "next_task": last.next_task,
        "next_attempt": last.next_attempt,
        "last_now": last.now,
    }


def _load_tasks(connection: apsw.Connection) -> tuple[SavedTask, ...]:
    specs = {number: decode_spec(body) for number, body in connection.execute(statement("select_live_specs"))}
    cells = load_cells(connection)
    rows = connection.execute(statement("select_live_tasks"))
    return tuple(_saved_task(values, specs, cells) for values in rows)


def _saved_task(values: tuple[object, ...], specs: dict[int, TaskSpec], cells: dict[int, Cell]) -> SavedTask:
    row = read_task(values)
    number, depends = values[TASK_FIELDS:]
    spec = specs.get(number)  # type: ignore[call-overload]
    if spec is None:
        raise StoreDamaged(f"the spec of task {row.id} is missing", hint=REPAIR_HINT)
    return SavedTask(row, spec, decode_depends(str(depends)), cells.get(row.id))


def _load_attempts(connection: apsw.Connection) -> tuple[AttemptRow, ...]:
    return tuple(read_attempt(values) for values in connection.execute(statement("select_live_attempts")))


def _group(name: str, virtual_time: int, held: int) -> GroupChanged:
    return GroupChanged(name, virtual_time, bool(held))


def _load_known(connection: apsw.Connection, tasks: Iterable[SavedTask]) -> tuple[tuple[int, str], ...]:
    named = sorted({one.task for task in tasks for one in task.after})
    if not named:
        return ()
    return tuple(connection.execute(statement("select_final_states"), (encode_json(named),)))
