"""The store: the only database of a home. It owns the one writing connection and the order of a commit.

It decides nothing: what a row should say is the kernel's work. Whoever opens it holds the `HomeLock`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import apsw

from passloop.crashpoints import crashpoint
from passloop.kernel.ids import RunId, TaskId
from passloop.kernel.saved import Saved
from passloop.kernel.tasks import TaskState

from . import backup, lookups
from .batch import Batch, next_ids, write_changes
from .connection import leave_as_it_is, open_reading, open_writing, transaction, translated
from .copies import forget_copying
from .errors import StoreError, StoreMissing, full_disk
from .event_records import encode_events
from .home import Home, sync_directory
from .identity import new_id, read_id, write_id
from .integrity import check_beginning, check_store
from .journal import JournalRow, append_row, last_row, touched_by
from .limits import add_limit_steps
from .loading import load_saved
from .mark import Mark
from .migrate import migrate
from .reader import Reader
from .removal import remove_final_tasks
from .runs import keep_results
from .samples import Sample, write_samples
from .sql import statement

__all__ = ["Batch", "Store"]


class Store:
    """Remembers. `commit` is called from one thread; look-ups may be made from others meanwhile."""

    def __init__(self, home: Home, writer: apsw.Connection, mark: Mark, last: JournalRow | None) -> None:
        """For `open` only."""
        self.home = home
        self._path = home.database
        self._writer = writer
        self._reader = open_reading(home.database)
        self._reading = threading.Lock()
        self._mark = mark
        self._last = last
        self.home_id = self._load_home_id()

    @classmethod
    def open(cls, home: Home, *, create: bool = True) -> Store:
        """Open the store of `home`, bring its schema up to date and check it.

        Raises `StoreMissing` (with `create=False`), `StoreDamaged`, `StoreTooNew`, `StoreFull`.
        """
        mark = Mark(home.mark)
        check_beginning(home, mark.read())
        if not create and not home.database.exists():
            raise StoreMissing(f"there is no store in {home.path}", hint="Submit something first.")
        _touch_private(home)
        crashpoint("after_store_file")
        writer = open_writing(home.database)
        try:
            with translated(home.database):
                migrate(writer)
                last = check_store(writer, mark.read())
                with transaction(writer):
                    writer.execute(statement("delete_old_durations"))
                    crashpoint("before_durations_commit")
                crashpoint("after_durations_commit")
            # Or a power cut could bring back the journal with which SQLite made the file: it would undo everything.
            sync_directory(home.path)
            return cls(home, writer, mark, last)
        except BaseException:
            leave_as_it_is(writer)
            raise

    def close(self) -> None:
        """Close all connections; the last one writes the log back into the database."""
        with self._reading:
            self._reader.close()
        self._writer.close()
        self._mark.close()

    def load(self) -> Saved:
        """Everything live, as of the last commit."""
        with self._reading, translated(self._path), transaction(self._reader, begin="BEGIN"):
            return load_saved(self._reader, last_row(self._reader))

    def commit(self, batch: Batch) -> int:
        """Make a batch durable, whole or not at all, and return its number in the journal. Blocks for the
        fsync.

        Raises `StoreFull` (nothing was kept; try again later), `StoreDamaged`, `StoreRefused` (a bug: a
        fenced row).
        """
        with translated(self._path):
            row = self._journal_row(batch)
            with transaction(self._writer):
                append_row(self._writer, row)
                if batch.environments:
                    self._writer.executemany(statement("insert_environment"), batch.environments)
                write_changes(self._writer, batch.changes)
                add_limit_steps(self._writer, batch.changes, now=batch.now)
                if batch.results:
                    keep_results(self._writer, batch.results)
                crashpoint("before_commit")
        crashpoint("after_commit")
        self._is_durable(row)
        return row.seq

    def _is_durable(self, row: JournalRow) -> None:
        self._last = row
        self._mark.write(row.seq)

    def _journal_row(self, batch: Batch) -> JournalRow:
        return JournalRow(
            1 if self._last is None else self._last.seq + 1,
            batch.now,
            batch.at,
            batch.seed,
            *batch.first_ids,
            *next_ids(batch, self._last),
            events=encode_events(batch.events),
            touched=touched_by(batch.changes),
            checksum="",
        )

    @property
    def last_seq(self) -> int:
        """The number of the last committed batch; 0 before the first."""
        return 0 if self._last is None else self._last.seq

    @property
    def last_now(self) -> int:
        """The engine time of the last committed batch in ms; 0 before the first."""
        return 0 if self._last is None else self._last.now

    def find_keys(self, keys: Iterable[str]) -> dict[str, tuple[TaskId, TaskState]]:
        """The newest task of each key that has one."""
        with self._reading, translated(self._path):
            return lookups.find_keys(self._reader, keys)

    def states_of(self, tasks: Iterable[int]) -> dict[TaskId, TaskState]:
        """The stored state of each task that there is."""
        with self._reading, translated(self._path):
            return lookups.states_of(self._reader, tasks)

    def runs_there(self, runs: Iterable[int]) -> frozenset[RunId]:
        """Those of these runs that there are."""
        with self._reading, translated(self._path):
            return lookups.runs_there(self._reader, runs)

    def payloads_of(self, tasks: Iterable[int]) -> dict[TaskId, str]:
        """The JSON text that was submitted with each task that there is."""
        with self._reading, translated(self._path):
            return lookups.payloads_of(self._reader, tasks)

    def results_of(self, tasks: Iterable[int]) -> dict[TaskId, str]:
        """The JSON text that each of these tasks left as its results, if it left any."""
        with self._reading, translated(self._path):
            return lookups.results_of(self._reader, tasks)

    def brought_by(self, starting: Iterable[int], again: Iterable[int]) -> tuple[dict[TaskId, str], dict[TaskId, str]]:
        """The payloads of tasks that start, and what those that start again left before, both as JSON text.

        Called from the thread that commits: its connection alone still has in memory what it wrote.
        """
        tasks = tuple(again)
        with translated(self._path):
            payloads = lookups.payloads_of(self._writer, starting)
            return payloads, lookups.results_of(self._writer, tasks) if tasks else {}

    def environment(self, number: str) -> dict[str, str]:
        """A stored environment; empty if there is none of that id."""
        with self._reading, translated(self._path):
            return lookups.environment(self._reader, number)

    def reader(self) -> Reader:
        """A reader with a connection of its own; whoever asks for it closes it."""
        return Reader.open(self.home)

    def record_samples(self, samples: Sequence[Sample]) -> None:
        """Keep how busy devices were. Called from the thread that commits."""
        with translated(self._path), transaction(self._writer):
            write_samples(self._writer, samples)
            crashpoint("before_samples_commit")
        crashpoint("after_samples_commit")

    def backup(self, path: Path | None = None) -> Path:
        """Copy the store to `path` (else the home's own backup) and return where it lies. From any thread."""
        target = path or self.home.backup
        backup.copy_store(self.home.database, target)
        return target

    def remove_tasks(self, tasks: Iterable[int], *, at: int = 0) -> tuple[TaskId, ...]:
        """Forget final tasks with everything about them, and runs that have none left; returns those removed. If there
        are any, it is a batch without events in the journal, at wall time `at` in ms.

        A task that is not final, or that a live task still waits for, stays. Called from the thread that
        commits.
        """
        with translated(self._path):
            row = self._journal_row(self._batch_of_removal(at))
            with transaction(self._writer):
                removed = remove_final_tasks(self._writer, tasks)
                if removed:
                    append_row(self._writer, row)
                crashpoint("before_removal_commit")
        crashpoint("after_removal_commit")
        if removed:
            self._is_durable(row)
        return removed

    def _batch_of_removal(self, at: int) -> Batch:
        """Somebody is told that it is done, so the mark must count it: else a log that lost it would pass for whole."""
        ids = (1, 1, 1)
        if self._last is not None:
            ids = (self._last.next_run, self._last.next_task, self._last.next_attempt)
        return Batch(events=(), now=self.last_now, seed=0, first_ids=ids, changes=(), at=at)

    def _load_home_id(self) -> str:
        with translated(self._path), transaction(self._writer):
            home_id = read_id(self._writer) or new_id()
            write_id(self._writer, home_id)
            forget_copying(self._writer)
            crashpoint("before_home_id_commit")
        crashpoint("after_home_id_commit")
        return home_id


def _touch_private(home: Home) -> None:
    """Make the database file with mode 0600 before SQLite would make it by the umask; its log files follow
    it.
    """
    try:
        os.close(os.open(home.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        what = f"{home.database} cannot be opened: {error.strerror}"
        refused = StoreError(what, hint=f"Look: ls -l {home.database}")
        raise full_disk(home.database, error) or refused from error
