"""A home with something in every table, half of it in the database and half in its log, of which copies are damaged;
and what is true of it: every row, on which pages it lies, and how far each commit of the log came.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

from passloop.kernel.changes import (
    AttemptChanged,
    DurationLearned,
    GroupChanged,
    PoolChanged,
    SettingChanged,
    SourceAdded,
    SourceChanged,
    TaskAdded,
    TaskChanged,
    UnitChanged,
)
from passloop.kernel.ids import RunId, TaskId
from passloop.kernel.resources import Allocation
from passloop.kernel.source_rows import Cell, SourcePlan, SourceRow, SourceState, TemplateNode, UnitRow
from passloop.kernel.tasks import Dependency, OutcomeKind, TaskState
from passloop.store.connection import open_copy
from passloop.store.database import Store
from passloop.store.home import Home
from passloop.store.mark import Mark
from passloop.store.salvage import TABLES
from passloop.store.samples import Sample

from .damage import copy_of, flip
from .sqlite_pages import PAGE, commits_in, pages_of_rows, pages_of_tree, pages_with
from .store_rows import SPEC, a_batch, a_run, a_submission, a_task, an_attempt, an_end

__all__ = ["ENDINGS", "INDEX", "LOG", "MARK", "STORE", "Damage", "Patient", "Rows", "rows_in"]

SCHEMA = "sqlite_schema"
STORE, LOG, INDEX, MARK = "store.sqlite", "store.sqlite-wal", "store.sqlite-shm", "mark"
EACH = 50
WAITING = 30
SOURCE_RUN, CANCELLED_RUN, REMOVED_RUN = RunId(4), RunId(8), RunId(10)
ENDED = {"state": TaskState.SUCCEEDED, "outcome": OutcomeKind.SUCCESS, "exit_code": 0, "ended_at": 2_000}
PLAN = SourcePlan((TemplateNode(SPEC.request, completes=True), TemplateNode(SPEC.request)), units=9, tasks=18)
KEYS = {"units": 2, "unit_specs": 2, "samples": 3, "limit_steps": 2}
"""How many columns are the key of a table, where it is not the first alone."""

Key = tuple[Any, ...]
Rows = Mapping[str, Mapping[Key, tuple[Any, ...]]]
"""Every row of every table, by its key."""


def _clear_old_durations(store: Store) -> None:
    """As a start does; the batch before it is what makes them too many."""
    store.commit(a_batch([DurationLearned("train", "train.py", 1_000) for _ in range(1_000)]))
    Store.open(store.home).close()


ENDINGS: Mapping[str, Callable[[Store], object]] = {
    "batch": lambda store: store.commit(a_batch([SettingChanged("draining", "true")])),
    "removal": lambda store: store.remove_tasks([5, 6]),
    "samples": lambda store: store.record_samples([Sample(300, 1_000, "GPU-0", 50, 1_024, 300_000)]),
    "clearing": _clear_old_durations,
}
"""Each kind of commit that a store in use makes, as the last one of its log. The others are of a store that is new,
which `test_p07_power_cut` cuts, or of an earlier version, whose migration `test_p16_an_old_store_opens` interrupts.
"""


def fill(store: Store, *, backup: bool, last: str) -> None:
    """Runs 1 to 3, one with units and one that waits for them, then a checkpoint; runs 5 and 6, and more ends, are in
    the log alone. Of two more with units one is cancelled since then, and one is over and removed; task 87 ran then,
    and is ready since; task 88 had failed, and has succeeded since.
    """
    for run in (1, 2, 3):
        store.commit(a_submission(EACH, run=run, first=(run - 1) * EACH + 1, payload=f'{{"name": "{"of a run" * 9}"}}'))
    first = 3 * EACH + 1
    store.commit(a_batch([*_learned(), *_with_units(first)], environments=(("e1", '{"PATH": "/usr/bin"}'),)))
    store.record_samples([Sample(attempt, 1_000, "GPU-0", 50, 1_024, 300_000) for attempt in range(1, 300)])
    steps = [(f"model-{n}", 1_000, "open", 4) for n in range(300)]
    store._writer.executemany("INSERT INTO limit_steps VALUES (?, ?, ?, ?)", steps)
    _end(store, range(1, 71))
    store.commit(a_batch(_waiting(first + 6)))
    more = first + 6 + WAITING
    for task, run in ((more, CANCELLED_RUN), (more + 1, REMOVED_RUN)):
        store.commit(a_batch(_with_a_source(task, run)))
    gone = range(more + 2, more + 302)
    store.commit(a_submission(len(gone), run=9, first=gone[0], payload=f'{{"name": "{"x" * 99}"}}', **ENDED))
    store.remove_tasks(gone)
    store.commit(a_batch([AttemptChanged(an_attempt(87, allocation=Allocation(0)))]))
    store.commit(a_batch([TaskChanged(a_task(87, run=2, attempts=1, state=TaskState.RUNNING))]))
    _end_88(store, 1)
    store._writer.pragma("wal_checkpoint", "TRUNCATE")
    if backup:
        store.backup()
    _end_88(store, 2)
    store.commit(a_batch([AttemptChanged(an_end(87, allocation=Allocation(0)))]))
    store.commit(a_batch([TaskChanged(a_task(87, run=2, attempts=1, failures=1))]))
    store.commit(a_submission(EACH, run=5, first=gone[-1] + 1))
    _end(store, range(71, 86))
    store.commit(a_batch([AttemptChanged(an_attempt(86, allocation=Allocation(0)))]))
    store.commit(a_batch([TaskChanged(a_task(86, run=2, attempts=1, state=TaskState.RUNNING))]))
    store.remove_tasks([3, 4])
    store.commit(a_batch(_over(more, CANCELLED_RUN, SourceState.CANCELLED)))
    store.commit(a_batch(_over(more + 1, REMOVED_RUN, SourceState.EXHAUSTED)))
    store.remove_tasks([more + 1])
    store.commit(a_submission(EACH, run=6, first=gone[-1] + 1 + EACH))
    ENDINGS[last](store)


def _learned() -> list[Any]:
    state = '{"capacity": 4000, "parent": null, "dead_after": 120000, "on_dead": "wait"}'
    pools = [PoolChanged(f"licence-{n}", "amount", state) for n in range(200)]
    facts = [SettingChanged("draining", "false"), GroupChanged("night", 30_000, True)]
    return [*pools, *facts, *(DurationLearned("train", "train.py", 1_000 + n) for n in range(300))]


def _with_units(first: int) -> list[Any]:
    """A run of three units with two tasks each."""
    row = _a_source(SOURCE_RUN, unit=3, tasks=6)
    units = [UnitChanged(UnitRow(SOURCE_RUN, unit, 4_096, 2, 1_000, None)) for unit in range(3)]
    tasks = [
        TaskAdded(a_task(first + n, run=SOURCE_RUN, index=n), SPEC, "{}", (), Cell(n // 2, n % 2)) for n in range(6)
    ]
    own = tuple(f'["unit {unit}"]' for unit in range(300))
    return [a_run(SOURCE_RUN), SourceAdded(row, PLAN, '{"cells": 18}', own), *units, *tasks]


def _with_a_source(task: int, run: RunId) -> list[Any]:
    """A run of one unit with one task, to which more are to come."""
    added = SourceAdded(_a_source(run, unit=1, tasks=1), PLAN, '{"cells": 18}', ("[0]",))
    unit = UnitChanged(UnitRow(run, 0, 4_096, 1, 1_000, None))
    return [a_run(run), added, unit, TaskAdded(a_task(task, run=run, index=0), SPEC, "{}", (), Cell(0, 0))]


def _over(task: int, run: RunId, state: SourceState) -> list[Any]:
    """All of such a run is over."""
    source = SourceChanged(_a_source(run, unit=1, tasks=1)._replace(state=state, ended_at=2_000))
    unit = UnitChanged(UnitRow(run, 0, 4_096, 1, 1_000, 2_000))
    return [source, unit, TaskChanged(a_task(task, run=run, index=0, **ENDED))]


def _a_source(run: RunId, *, unit: int, tasks: int) -> SourceRow:
    return SourceRow(run, "bench", "night", 0, SourceState.OPEN, False, unit, tasks, 0, "", 1_000, None)


def _waiting(first: int) -> list[Any]:
    """A run whose tasks come after one that is over and, but a few that are ready, after one that runs or is ready."""
    states = (TaskState.WAITING, TaskState.WAITING, TaskState.HELD, TaskState.READY)
    found: list[Any] = [a_run(7)]
    for n in range(WAITING):
        state = states[n % 4]
        row = a_task(first + n, run=7, index=n, state=state, held=state is TaskState.HELD)
        after = (Dependency(20 + n), Dependency(86 + 2 * n, any_end=n % 3 == 0))
        found.append(TaskAdded(row, SPEC, "{}", after[: 1 if state is TaskState.READY else 2]))
    return found


def _end(store: Store, tasks: range) -> None:
    free = Allocation(0)
    store.commit(a_batch([AttemptChanged(an_attempt(n, allocation=free)) for n in tasks]))
    store.commit(a_batch([AttemptChanged(an_end(n, allocation=free)) for n in tasks]))
    done = [TaskChanged(a_task(n, run=(n - 1) // EACH + 1, attempts=1, **ENDED)) for n in tasks]
    store.commit(a_batch(done, results=tuple((n, f'{{"accuracy": {n}, "notes": "{"y" * 200}"}}') for n in tasks)))


def _end_88(store: Store, epoch: int) -> None:
    """The end of its first attempt, which failed, or of its second; each left results."""
    number = 86 + 2 * epoch
    there, ended = (
        row._replace(task=TaskId(88), epoch=epoch)
        for row in (an_attempt(number, allocation=Allocation(0)), an_end(number, allocation=Allocation(0)))
    )
    row = a_task(88, run=2, attempts=epoch, failures=1, **(ENDED if epoch == 2 else {}))
    store.commit(a_batch([AttemptChanged(there)]))
    store.commit(a_batch([AttemptChanged(ended), TaskChanged(row)], results=((88, f'{{"loss": {epoch}}}'),)))


def rows_in(path: Path) -> Rows:
    """Everything in a database, read without the store's own readers."""
    connection = open_copy(path)
    try:
        return {table: _by_key(table, connection.execute(f"SELECT * FROM {table}")) for table in TABLES}
    finally:
        connection.close()


def _by_key(table: str, rows: Any) -> dict[Key, tuple[Any, ...]]:
    return {row[: KEYS.get(table, 1)]: row for row in sorted(rows, key=lambda row: row[: KEYS.get(table, 1)])}


class Whole:
    """The store as it was after some commits of its log: its rows, and the pages that each needs."""

    def __init__(self, pages: dict[int, bytes], scratch: Path) -> None:
        self.pages = pages
        self.rows = rows_in(scratch)
        connection = open_copy(scratch)
        roots = dict(connection.execute("SELECT name, rootpage FROM sqlite_schema WHERE rootpage").fetchall())
        roots[SCHEMA] = 1
        self.trees = {str(name): pages_of_tree(pages, int(root)) for name, root in roots.items()}
        self.needs = {
            table: dict(zip(self.rows[table], pages_of_rows(pages, int(roots[table])), strict=True)) for table in TABLES
        }
        self.free = set(pages) - set[int]().union(*self.trees.values())
        connection.close()
        for ending in ("", "-wal", "-shm"):
            scratch.with_name(scratch.name + ending).unlink(missing_ok=True)


@dataclass(frozen=True)
class Damage:
    """What was damaged, and what is left of the store: the commits of its log, and the pages that are gone."""

    target: str
    place: str
    whole: Whole
    lost: frozenset[int]
    marked: int

    @cached_property
    def known(self) -> Rows:
        """Every row that can still be read. Without the schema nobody knows which page is of what."""
        if self.whole.trees[SCHEMA] & self.lost:
            return {table: {} for table in TABLES}
        return {
            table: {key: row for key, row in rows.items() if not self.whole.needs[table][key] & self.lost}
            for table, rows in self.whole.rows.items()
        }

    @property
    def hurt(self) -> set[str]:
        """The tables and indexes of which a page is gone."""
        blind = self.whole.trees[SCHEMA] & self.lost
        return {name for name, pages in self.whole.trees.items() if blind or pages & self.lost}


class Patient:
    """The home, and its truth after each commit of its log."""

    def __init__(self, folder: Path, *, backup: bool, stopped: bool = False, last: str = "batch") -> None:
        """With `stopped` its engine ended in order: everything is in the database, and there is no log."""
        living = Home(folder / "living")
        living.prepare()
        store = Store.open(living)
        fill(store, backup=backup, last=last)
        if stopped:
            store.close()
        self.home = copy_of(living, folder / "home")
        if not stopped:
            store.close()
        shutil.rmtree(living.path)
        self._folder = folder
        self._stages: dict[int, Whole] = {}
        self.database = (self.home.path / STORE).read_bytes()
        self.log = (self.home.path / LOG).read_bytes() if not stopped else b""
        self.commits = commits_in(self.log)
        self.truth = self.after(len(self.commits))
        self.backup: Rows = rows_in(shutil.copy(self.home.backup, folder / "backup")) if backup else {}
        assert len(self.commits) > 7 or stopped
        assert all(self.truth.rows[table] for table in TABLES)
        assert self.truth.free

    def after(self, commits: int) -> Whole:
        """The truth after so many commits of the log."""
        if commits not in self._stages:
            first = self.commits[:commits]
            scratch = self._folder / "scratch"
            scratch.write_bytes(self.database)
            scratch.with_name("scratch-wal").write_bytes(self.log[: first[-1].end] if first else b"")
            self._stages[commits] = Whole(pages_with(self.database, first), scratch)
        return self._stages[commits]

    def judged(self, home: Home, target: str, place: str) -> Damage:
        """What is left in a damaged copy."""
        log = home.path / LOG
        commits = commits_in(log.read_bytes() if log.exists() else b"")
        whole = self.after(len(commits))
        left = pages_with((home.path / STORE).read_bytes(), commits)
        lost = frozenset(number for number, body in whole.pages.items() if left.get(number) != body)
        return Damage(target, place, whole, lost, Mark(home.mark).read())

    def damaged(self, path: Path, choice: Random) -> tuple[Home, Damage]:
        """A copy with one bit flipped or one file cut."""
        home = copy_of(self.home, path)
        target = choice.choice((STORE, STORE, STORE, STORE, LOG, LOG, INDEX, MARK) if self.log else (STORE,))
        file = home.path / target
        if target == STORE and choice.random() < 0.75:
            place, page = self._page(choice)
            at = (page - 1) * PAGE + choice.randrange(100 if place == "header" else PAGE)
        else:
            place, at = "", choice.randrange(file.stat().st_size)
        if place or choice.random() < 0.5:
            flip(file, at, choice.randrange(8))
        else:
            place = "cut"
            os.truncate(file, choice.choice([0, at, at, at]))
        return home, self.judged(home, target, place)

    def _page(self, choice: Random) -> tuple[str, int]:
        """A page by what it is of, so that small tables are struck as often as large ones."""
        names = {"header": {1}, "free": self.truth.free} | self.truth.trees
        name = choice.choice(sorted(names))
        there = [page for page in names[name] if page * PAGE <= len(self.database)]
        return (name, choice.choice(sorted(there))) if there else ("header", 1)
