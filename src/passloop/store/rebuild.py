"""Writes a new database from rows that were salvaged and rows of a backup. Newer rows win; what may be older
than the truth is held. It knows the tables and touches no file but the one it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import apsw

from passloop.crashpoints import crashpoint
from passloop.kernel.ids import AttemptId
from passloop.kernel.tasks import FINAL_STATES, Outcome, OutcomeKind, TaskRow
from passloop.kernel.workers import WORKERS, Workers, kept_back_in, workers_in

from .connection import open_writing, transaction, translated
from .copies import forget_copying
from .identity import write_id
from .journal import JournalRow, append_row
from .migrate import migrate
from .records import TASK_FIELDS, Values, encode_json
from .removed import Ranges, covers, joined, ranges_in, write_ranges
from .salvage import TABLES, Salvaged
from .sql import statement
from .telling import told

__all__ = ["Rebuilt", "rebuild"]

Tables = Mapping[str, Sequence[Values]]
_TASK_OF = {"tasks": 0, "payloads": 0, "results": 0, "attempts": 1}
"""In which column the rows of a table name their task."""
_RUN_OF = {"runs": 0, "tasks": 1, "sources": 0, "units": 0, "unit_specs": 0}
"""In which column the rows of a table name their run."""
ATTEMPT_LIFE = ("admitted", "running", "stopping", "stray", "ended")
IDS_LEFT_OUT = 100_000
"""How many ids are passed over when batches were lost, or are another home's: what they gave out must not come back."""

FROM_BACKUP = "restored from a backup; it may have run since: look at it, then release it"
COMMITS_LOST = "what happened to it last was lost with the store; look at it, then release it"
HOME_LOST = "whose it was when it started was lost with the store, so it may run still; look at it, then release it"
BEFORE_IT_LOST = "task {}, which it comes after, was lost with the store; look at what that left, then release it"
RAN_ELSEWHERE = "it ran when its home was copied and may run there still; look at it, then release it"
RAN_THEN = "it ran when this was stored; before it starts once more, look at it, then release it"
RAN_SINCE = "it had an attempt {} that was lost with the store; look at it (passloop logs {}), then release it"
PAYLOAD_LOST = "its command was lost with the store; remove it and submit it again"


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """What stands in the new database; see `RepairReport`."""

    last_seq: int
    from_backup: int
    lost_batches: int
    held: tuple[int, ...]
    held_running: tuple[int, ...]
    held_runs: tuple[int, ...]
    missing: tuple[tuple[int, int], ...]


def rebuild(
    path: Path,
    salvaged: Salvaged,
    backup: Tables,
    *,
    marked: int,
    home_id: str | None,
    is_foreign: bool,
    newest_attempt: Callable[[int, int], int],
) -> Rebuilt:
    """Make a database at `path`. `marked` is how far the store is known to have come, `home_id` whose it is, and
    `is_foreign` whether its work is that of another home. `newest_attempt` is the last attempt of a run's task of which
    anything is left, 0 if there is none.
    """
    with translated(path):
        connection = open_writing(path)
        try:
            migrate(connection)
            with transaction(connection):
                built = _fill(connection, salvaged, backup, marked, home_id, is_foreign=is_foreign)
                reason = None if is_foreign else RAN_SINCE
                _pass_over_attempts(connection, [*built.held, *built.held_running], newest_attempt, reason)
                crashpoint("before_rebuild_commit")
            crashpoint("after_rebuild_commit")
            connection.pragma("journal_mode", "delete")
        finally:
            connection.close()
    return built


def _fill(
    connection: apsw.Connection,
    salvaged: Salvaged,
    backup: Tables,
    marked: int,
    home_id: str | None,
    *,
    is_foreign: bool,
) -> Rebuilt:
    removed, rows, backup = _without_removed(salvaged, backup)
    tasks = _newest(rows["tasks"], backup.get("tasks", ()), _task_age)
    attempts = _newest(rows["attempts"], backup.get("attempts", ()), _attempt_age)
    _insert(connection, "tasks", tasks)
    _insert(connection, "attempts", attempts)
    is_older = not is_foreign and "journal" not in salvaged.unread and _ends_before(rows, backup)
    for source in _newer_first(rows, backup, tasks, attempts, is_older=is_older):
        for table in set(TABLES) - {"tasks", "attempts", "journal"}:
            _insert(connection, table, source.get(table, ()))
    if removed:
        write_ranges(connection, removed)
    if home_id is not None:
        write_id(connection, home_id)
    forget_copying(connection)
    journal = [*backup.get("journal", ()), *rows["journal"]]
    last = _write_journal(connection, journal, marked, is_foreign=is_foreign)
    whose = RAN_ELSEWHERE if is_foreign else HOME_LOST
    strange = [] if home_id is not None and not is_foreign else _end_live_attempts(connection, last.now, whose)
    lost = max(0, marked - _last_batch(journal))
    _reconcile(connection)
    _forget_workers_of_lost_attempts(connection)
    certain = _certain(rows, {} if is_foreign else backup)
    older = [int(row[0]) for row in tasks if is_foreign or row not in certain["tasks"]]
    ran = [int(row[1]) for row in attempts if row not in certain["attempts"]]
    held = _hold_uncertain(connection, older, dict.fromkeys(strange, whose), lost=lost)
    held_running = _hold_live(connection, [*older, *ran], lost=lost)
    going_on = [] if lost or older else [int(row[0]) for row in certain["sources"]]
    held_runs = _hold_sources(connection, going_on, COMMITS_LOST if lost else FROM_BACKUP)
    return Rebuilt(
        last_seq=last.seq,
        from_backup=len(set(tasks).difference(rows["tasks"])),
        lost_batches=lost,
        held=held,
        held_running=held_running,
        held_runs=held_runs,
        missing=_missing(connection, last.first_task, removed),
    )


def _without_removed(salvaged: Salvaged, backup: Tables) -> tuple[Ranges, Tables, Tables]:
    """The tasks that users removed, by all that is known, and the rows of both without them."""
    runs = _removed_runs(salvaged, backup)
    removed = _removed(salvaged.rows, backup, runs)
    rows = {table: _standing(table, known, removed, frozenset()) for table, known in salvaged.rows.items()}
    return removed, rows, {table: _standing(table, known, removed, runs) for table, known in backup.items()}


def _removed_runs(salvaged: Salvaged, backup: Tables) -> frozenset[int]:
    """Runs that only the backup has, though the store is as new and all its runs could be read: users removed them."""
    if "runs" in salvaged.unread or _ends_before(salvaged.rows, backup):
        return frozenset()
    there = {int(row[0]) for row in salvaged.rows["runs"]}
    return frozenset(int(row[0]) for row in backup.get("runs", ())) - there


def _ends_before(rows: Tables, backup: Tables) -> bool:
    return _last_batch(rows["journal"]) < _last_batch(backup.get("journal", ()))


def _last_batch(journal: Iterable[Values]) -> int:
    return max((int(row[0]) for row in journal), default=0)


def _removed(rows: Tables, backup: Tables, runs: frozenset[int]) -> Ranges:
    """The tasks that users removed: those that are noted, and those of runs that are gone."""
    noted = ranges_in([*rows["meta"], *backup.get("meta", ())])
    theirs = [int(row[0]) for row in backup.get("tasks", ()) if row[1] in runs]
    return joined([*noted, *((task, task) for task in theirs)])


def _standing(table: str, rows: Sequence[Values], removed: Ranges, runs: frozenset[int]) -> Sequence[Values]:
    """The rows of a table without those of tasks and runs that were removed."""
    place, run = _TASK_OF.get(table), _RUN_OF.get(table)
    if place is not None and removed:
        rows = [row for row in rows if not covers(removed, int(row[place]))]
    if run is not None and runs:
        rows = [row for row in rows if row[run] not in runs]
    return rows


def _newest(
    salvaged: Sequence[Values], backup: Sequence[Values], age: Callable[[Values], tuple[int, ...]]
) -> list[Values]:
    """One row per id: the one that is further in its life, the salvaged one if both are equally far."""
    rows = {row[0]: row for row in salvaged}
    for row in backup:
        if row[0] not in rows or age(row) > age(rows[row[0]]):
            rows[row[0]] = row
    return list(rows.values())


def _task_age(row: Values) -> tuple[int, ...]:
    """A final state is never left, and the number of attempts only grows."""
    task = TaskRow._make(row[:TASK_FIELDS])
    return int(task.state in FINAL_STATES), task.attempts


def _attempt_age(row: Values) -> tuple[int, ...]:
    return (ATTEMPT_LIFE.index(row[3]),)


def _newer_first(
    rows: Tables, backup: Tables, tasks: Sequence[Values], attempts: Sequence[Values], *, is_older: bool
) -> tuple[Tables, Tables]:
    """Both, so that rows without an age (of groups, pools, settings) are those of the newer one. Of the older one's
    results those are left out that may be an earlier attempt's: they would pass for those of the last.
    """
    newer, older = (backup, rows) if is_older else (rows, backup)
    ages, ends = {row[0]: _task_age(row) for row in tasks}, _last_ends(attempts)
    ends_then = _last_ends(older.get("attempts", ()))
    as_far = {
        row[0]
        for row in older.get("tasks", ())
        if _task_age(row) == ages[row[0]] and ends_then.get(row[0]) == ends.get(row[0])
    }
    return newer, {**older, "results": [row for row in older.get("results", ()) if row[0] in as_far]}


def _last_ends(attempts: Sequence[Values]) -> dict[object, int]:
    """By task, the number of its last attempt that ended."""
    ended = sorted((int(row[1]), int(row[2])) for row in attempts if row[3] == "ended")
    return dict(ended)


def _certain(rows: Tables, backup: Tables) -> dict[str, set[Values]]:
    """The rows that are as they were last: those that were read, but of a store that is older than its backup only
    those that are the same in both. What else is known may have ended, or been held or cancelled, since.
    """
    is_older = _ends_before(rows, backup)
    return {
        table: set(rows[table]).intersection(backup.get(table, ())) if is_older else set(rows[table])
        for table in ("tasks", "attempts", "sources")
    }


def _insert(connection: apsw.Connection, table: str, rows: Sequence[Values]) -> None:
    """Rows of an older schema lack the last columns, which have their defaults then."""
    if rows:
        known = connection.execute("SELECT name FROM pragma_table_info(?) ORDER BY cid", (table,)).fetchall()
        names = [str(name) for (name,) in known[: len(rows[0])]]
        places = ", ".join("?" * len(names))
        connection.executemany(f"INSERT OR IGNORE INTO {table} ({', '.join(names)}) VALUES ({places})", rows)


def _write_journal(connection: apsw.Connection, rows: Iterable[Values], marked: int, *, is_foreign: bool) -> JournalRow:
    """Keep the newest rows that follow each other, and add one that says where the next batch goes on."""
    by_seq = {row.seq: row for row in map(JournalRow._make, rows)}
    newest = max(by_seq, default=0)
    seq = max(newest, marked) + 1
    number = newest if seq == newest + 1 else 0
    while number in by_seq:
        connection.execute(statement("insert_journal"), by_seq[number])
        number -= 1
    passed_over = IDS_LEFT_OUT if is_foreign or marked > newest else 0
    last = _closing_row(connection, seq, by_seq.get(newest), passed_over=passed_over)
    append_row(connection, last)
    return last


def _closing_row(connection: apsw.Connection, seq: int, newest: JournalRow | None, *, passed_over: int) -> JournalRow:
    run, task, attempt = (
        max(_int(connection, f"SELECT coalesce(max(id), 0) + 1 FROM {table}"), known)
        for table, known in zip(
            ("runs", "tasks", "attempts"),
            (1, 1, 1) if newest is None else (newest.next_run, newest.next_task, newest.next_attempt),
            strict=True,
        )
    )
    latest = _int(connection, statement("repair_select_latest_time"))
    return JournalRow(
        seq=seq,
        now=max(latest, 0 if newest is None else newest.now),
        at=0 if newest is None else newest.at,
        seed=0,
        first_run=run,
        first_task=task,
        first_attempt=attempt,
        next_run=run + passed_over,
        next_task=task + passed_over,
        next_attempt=attempt + passed_over,
        events="[]",
        touched="[]",
        checksum="",
    )


def _int(connection: apsw.Connection, query: str) -> int:
    return int(connection.execute(query).get)


def _reconcile(connection: apsw.Connection) -> None:
    """Take out rows that name what is gone, and let older rows of tasks follow newer ones of attempts."""
    connection.execute(statement("repair_delete_tasks_without_spec"))
    connection.execute(statement("repair_delete_attempts_without_task"))
    connection.execute(statement("repair_insert_lost_runs"))
    connection.execute(statement("repair_raise_epochs"))
    connection.execute(statement("repair_follow_attempts"))
    for name in ("repair_delete_cells", "repair_end_units", "repair_end_sources"):
        connection.execute(statement(name))


def _end_live_attempts(connection: apsw.Connection, now: int, message: str) -> list[int]:
    """Call lost what runs, and return its tasks: under the new id that this home gets nobody finds it again, so each
    would be taken for one that never began, and started beside itself.
    """
    tasks = [int(str(row[1])) for row in connection.execute(statement("select_live_attempts"))]
    outcome = encode_json(told(Outcome(OutcomeKind.LOST, message=message)))
    connection.execute(statement("repair_end_attempts"), (now, outcome))
    return tasks


def _forget_workers_of_lost_attempts(connection: apsw.Connection) -> None:
    """A worker whose attempts are lost would be busy for ever; as one that nobody knows it is ended by the next engine.
    An attempt that is lost cannot be given its start, either.
    """
    text = {name: state for name, _, state in connection.execute(statement("select_pools"))}.get(WORKERS)
    if text is None:
        return
    live = {row[0] for row in connection.execute(statement("select_live_attempts"))}
    left = Workers()
    for worker in workers_in(str(text)):
        if live.issuperset(worker.attempts):
            left.add(worker)
    left.kept_back.update((AttemptId(number), None) for number in sorted(kept_back_in(str(text)) & live))
    connection.execute(statement("upsert_pool"), (WORKERS, WORKERS, left.text()))


def _hold_uncertain(
    connection: apsw.Connection, older: Sequence[int], strange: Mapping[int, str], *, lost: int
) -> tuple[int, ...]:
    rows = connection.execute(statement("repair_select_startable")).fetchall()
    startable = {int(str(task)): bool(has_payload) for task, has_payload in rows}
    reasons = {task: PAYLOAD_LOST for task, has_payload in startable.items() if not has_payload}
    reasons |= {task: why for task, why in strange.items() if task in startable and task not in reasons}
    unknown = {int(str(task)) for (task,) in connection.execute(statement("repair_select_lost_attempts"))}
    reasons |= {task: COMMITS_LOST for task in unknown if task not in reasons}
    if lost:
        reasons |= {task: COMMITS_LOST for task in startable if task not in reasons}
    reasons |= {task: FROM_BACKUP for task in older if task in startable and task not in reasons}
    waiting = connection.execute(statement("repair_select_lost_dependencies")).fetchall()
    reasons |= {int(str(task)): BEFORE_IT_LOST.format(gone) for task, gone in waiting if task not in reasons}
    for task, reason in reasons.items():
        connection.execute(statement("repair_hold_task"), (reason, task))
    connection.execute(statement("repair_insert_lost_payloads"))
    return tuple(sorted(reasons))


def _hold_live(connection: apsw.Connection, older: Sequence[int], *, lost: int) -> tuple[int, ...]:
    """Hold, beside their attempts, tasks that may have ended since: what turns out not to live, such as each call,
    would be started, and paid for, once more.
    """
    held = connection.execute(statement("repair_hold_live"), (RAN_THEN, bool(lost), encode_json(older)))
    return tuple(sorted(int(str(task)) for (task,) in held))


def _pass_over_attempts(
    connection: apsw.Connection, held: Sequence[int], newest_attempt: Callable[[int, int], int], reason: str | None
) -> None:
    """Count attempts of which nothing but a folder is left: the next one would find its own place taken, and be charged
    as lost.
    """
    rows = connection.execute(statement("repair_select_attempts"), (encode_json(held),)).fetchall()
    for task, run, attempts, message in rows:
        newest = newest_attempt(int(str(run)), int(str(task)))
        if newest > int(str(attempts)):
            if reason is not None and message != PAYLOAD_LOST:
                message = reason.format(newest, task)
            connection.execute(statement("repair_raise_attempts"), (newest, message, task))


def _hold_sources(connection: apsw.Connection, certain: Sequence[int], reason: str) -> tuple[int, ...]:
    """Hold open sources but of these runs: others may have been cancelled, or have gone on, since."""
    held = connection.execute(statement("repair_hold_sources"), (reason, encode_json(certain)))
    return tuple(sorted(int(str(run)) for (run,) in held))


def _missing(connection: apsw.Connection, upto: int, removed: Ranges) -> Ranges:
    """Ranges of ids under `upto` that no task has and nobody removed."""
    there = [(int(str(task)), int(str(task))) for (task,) in connection.execute("SELECT id FROM tasks ORDER BY id")]
    gaps = []
    expected = 1
    for first, last in sorted([*there, *removed]):
        if first > expected:
            gaps.append((expected, first - 1))
        expected = max(expected, last + 1)
    if expected < upto:
        gaps.append((expected, upto - 1))
    return tuple(gaps)
