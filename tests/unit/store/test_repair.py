"""A repair keeps what can be read, says what is gone, and starts nothing by itself."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import apsw
import pytest

from passloop.crashpoints import VARIABLE
from passloop.kernel import invariants
from passloop.kernel.changes import AttemptChanged, PoolChanged, TaskChanged
from passloop.kernel.ids import AttemptId
from passloop.kernel.machine import Machine
from passloop.kernel.resources import Allocation
from passloop.kernel.tasks import OutcomeKind, TaskState
from passloop.kernel.workers import WORKERS, Worker, Workers
from passloop.store import salvage
from passloop.store.connection import open_copy, open_writing
from passloop.store.database import Store
from passloop.store.errors import StoreDamaged, StoreError, StoreFull, StoreTooNew, StoreUnreadable
from passloop.store.home import Home
from passloop.store.integrity import check_home
from passloop.store.repair import RepairReport, repair
from tests.support.damage import copy_of
from tests.support.file_sizes import files_up_to
from tests.support.store_rows import a_batch, a_submission, a_task, an_attempt, an_end

PAGE = 4_096
SUCCEEDED = {"state": TaskState.SUCCEEDED, "outcome": OutcomeKind.SUCCESS, "exit_code": 0, "ended_at": 2_000}
COUNT = 150
FREE = Allocation(0)


def fill(home: Home, *, backup: bool = False) -> None:
    """Tasks 1..150: the first 10 done after the backup, 11 running, the others ready."""
    store = Store.open(home)
    store.commit(a_submission(COUNT, payload='{"name": "a payload"}'))
    if backup:
        store.backup()
    store.commit(a_batch([AttemptChanged(an_attempt(n, allocation=FREE)) for n in range(1, 12)]))
    store.commit(a_batch([AttemptChanged(an_end(n, allocation=FREE)) for n in range(1, 11)]))
    done = [TaskChanged(a_task(n, attempts=1, **SUCCEEDED)) for n in range(1, 11)]
    store.commit(a_batch([*done, TaskChanged(a_task(11, attempts=1, state=TaskState.RUNNING))]))
    store.close()


def spoil_table(home: Home, table: str, *, pages: int = 1, skip: int = 0) -> None:
    """Flip a bit in some leaf pages of a table."""
    connection = open_writing(home.database)
    query = "SELECT pageno FROM dbstat WHERE name = ? AND pagetype = 'leaf' ORDER BY path LIMIT ? OFFSET ?"
    numbers = [int(str(row[0])) for row in connection.execute(query, (table, pages, skip))]
    connection.close()
    assert len(numbers) == pages
    with home.database.open("r+b") as file:
        for number in numbers:
            file.seek((number - 1) * PAGE + 1_000)
            byte = file.read(1)[0]
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([byte ^ 4]))


def states(home: Home) -> dict[int, str]:
    store = Store.open(home)
    found = {int(task): str(state) for task, state in store.states_of(range(COUNT + 10)).items()}
    Machine.restore(store.load())
    store.close()
    return found


def test_a_whole_store_is_left_alone(home: Home) -> None:
    fill(home)
    before = home.database.read_bytes()
    assert repair(home) == RepairReport(whole=True)
    assert repair(home).sentences() == ("The store is whole.",)
    assert home.database.read_bytes() == before


def test_a_new_home_needs_no_repair(home: Home) -> None:
    assert repair(home).whole
    assert not home.database.exists()


def test_what_can_be_read_stays_as_it_is(home: Home) -> None:
    fill(home)
    before = states(home)
    spoil_table(home, "tasks", skip=1)
    report = repair(home)
    after = states(home)
    gone = {task for first, last in report.missing for task in range(first, last + 1)}
    assert 0 < len(gone) < 100
    assert after == {task: state for task, state in before.items() if task not in gone}
    assert report.held == ()
    assert any("are gone" in line for line in report.sentences())
    assert repair(home).whole


def test_the_damaged_files_are_kept(home: Home) -> None:
    fill(home)
    spoil_table(home, "tasks")
    damaged = home.database.read_bytes()
    report = repair(home)
    assert report.kept_in is not None
    assert (report.kept_in / "store.sqlite").read_bytes() == damaged
    assert str(report.kept_in) in "\n".join(report.sentences())
    names = {path.name for path in home.path.iterdir()}
    assert names == {"store.sqlite", "mark", "damaged-1"}


def test_a_repair_takes_a_number_beyond_all_copies_though_older_ones_were_deleted(home: Home) -> None:
    """Its own too, if it is cut off after the damaged store is gone."""
    fill(home)
    for left in ("damaged-2", "damaged-10", "damaged-11.tar.gz", "damaged-by-me"):
        (home.path / left).mkdir()
    spoil_table(home, "tasks")
    damaged = home.database.read_bytes()
    kept = repair(home).kept_in
    assert kept == home.path / "damaged-11"
    assert (kept / "store.sqlite").read_bytes() == damaged
    os.rename(home.database, home.repaired)
    assert repair(home).kept_in == kept
    assert repair(home).whole


def test_tasks_that_only_the_backup_knows_are_held(home: Home) -> None:
    fill(home, backup=True)
    spoil_table(home, "tasks")
    report = repair(home)
    after = states(home)
    assert sorted(after) == list(range(1, COUNT + 1))
    assert report.missing == ()
    assert report.from_backup > 10
    assert after[1] == "held"
    assert after[11] == "running"
    assert set(report.held) == {task for task, state in after.items() if state == "held"}
    assert "Tasks that are as the last backup knew them: " in "\n".join(report.sentences())
    with Store.open(home).reader() as reader:
        view = reader.task(1)
    assert view is not None
    assert "backup" in view.row.message
    assert view.row.attempts == 1


@pytest.mark.parametrize("backup", [False, True])
def test_tasks_that_a_user_removed_are_neither_gone_nor_brought_back(home: Home, backup: bool) -> None:
    fill(home, backup=backup)
    store = Store.open(home)
    for tasks in ([2, 3], [1, 8], [4, 11]):
        store.remove_tasks(tasks)
    store.close()
    before = states(home)
    assert set(range(1, COUNT + 1)) - before.keys() == {1, 2, 3, 4, 8}
    spoil_table(home, "runs")
    report = repair(home)
    assert (report.missing, report.whole) == ((), False)
    assert not any("gone" in line for line in report.sentences())
    assert states(home) == before
    spoil_table(home, "tasks")
    missing = [task for first, last in repair(home).missing for task in range(first, last + 1)]
    assert not {1, 2, 3, 4, 8} & {*missing, *states(home)}


def test_a_task_without_its_command_is_held(home: Home) -> None:
    fill(home)
    spoil_table(home, "payloads")
    report = repair(home)
    after = states(home)
    assert len(after) == COUNT
    assert report.held
    assert all(after[task] == "held" for task in report.held)


def test_a_running_task_whose_attempt_is_lost_is_held(home: Home) -> None:
    fill(home)
    spoil_table(home, "attempts")
    report = repair(home)
    assert 11 in report.held
    assert states(home)[11] == "held"


def fill_with_workers(home: Home) -> Workers:
    """As `fill`; worker 3 is parked, 11 runs attempt 11."""
    fill(home)
    workers = Workers()
    for number in (3, 11):
        workers.add(Worker(AttemptId(number), "workers", 1, "a model", ""))
    workers.give(workers.by_id[11], AttemptId(11))
    workers.kept_back[AttemptId(11)] = None
    store = Store.open(home)
    store.commit(a_batch([PoolChanged(WORKERS, WORKERS, workers.text())]))
    store.close()
    return workers


def test_workers_of_attempts_that_are_lost_are_forgotten(home: Home) -> None:
    """They would be busy for ever, and a start that was kept back for a lost attempt ended each engine."""
    fill_with_workers(home)
    spoil_table(home, "attempts")
    assert 11 in repair(home).held
    store = Store.open(home)
    machine, now = Machine.restore(store.load()), store.last_now
    store.close()
    machine.handle([], now, 0)
    invariants.check(machine, now)
    assert list(machine.state.workers.by_id) == [3]


def test_workers_of_attempts_that_are_there_stay(home: Home) -> None:
    before = fill_with_workers(home)
    spoil_table(home, "runs")
    repair(home)
    store = Store.open(home)
    assert Machine.restore(store.load()).state.workers.text() == before.text()
    store.close()


@pytest.mark.parametrize("table", ["tasks_by_state", "attempts_by_task", "meta", "runs"])
def test_damage_elsewhere_loses_no_task(home: Home, table: str) -> None:
    fill(home)
    before = states(home)
    spoil_table(home, table)
    report = repair(home)
    assert not report.whole
    assert states(home) == before
    store = Store.open(home)
    assert store.load().next_task == COUNT + 1
    assert store.load().next_attempt >= 12
    store.commit(a_submission(1, run=9, first=COUNT + 1))
    store.close()
    check_home(home)


def test_nothing_starts_while_the_end_of_the_journal_cannot_be_read(home: Home) -> None:
    fill(home)
    before = states(home)
    spoil_table(home, "journal")
    report = repair(home)
    assert report.lost_batches == 4
    assert states(home) == {task: "held" if state == "ready" else state for task, state in before.items()}


def test_a_backup_that_knows_more_than_the_store_wins(home: Home) -> None:
    store = Store.open(home)
    store.commit(a_submission(3))
    early = store.backup(home.path / "early")
    store.commit(a_batch([TaskChanged(a_task(1, attempts=1, **SUCCEEDED)), AttemptChanged(an_end(1))]))
    store.commit(a_batch([TaskChanged(a_task(2, attempts=1, state=TaskState.BACKOFF, not_before=9))]))
    store.backup()
    store.close()
    early.replace(home.database)
    report = repair(home)
    assert states(home) == {1: "succeeded", 2: "held", 3: "ready"}
    assert (report.lost_batches, report.from_backup, report.held) == (0, 2, (2,))


def test_ids_of_lost_batches_never_come_back_and_nothing_starts(home: Home) -> None:
    fill(home, backup=True)
    home.database.unlink()
    report = repair(home)
    assert report.lost_batches == 3
    assert len(report.held) == COUNT
    assert set(states(home).values()) == {"held"}
    store = Store.open(home)
    assert store.load().next_task > COUNT + 1_000
    assert store.load().next_attempt > 1_000
    assert store.last_seq == 5
    store.close()
    assert any("could not be read: 3;" in line for line in report.sentences())


def test_nothing_readable_is_an_error_and_never_an_empty_store(home: Home) -> None:
    fill(home)
    home.database.write_bytes(b"x" * 10_000)
    with pytest.raises(StoreDamaged, match="no backup") as refused:
        repair(home)
    assert "start anew" in refused.value.hint
    assert home.database.read_bytes() == b"x" * 10_000


@pytest.mark.parametrize("length", [None, 0, 1, 99])
def test_a_store_cut_to_nothing_or_gone_comes_back_whole_from_its_log(
    home: Home, tmp_path: Path, length: int | None
) -> None:
    store = Store.open(home)
    store.commit(a_submission(COUNT, payload='{"name": "a payload"}'))
    cut = copy_of(home, tmp_path / "cut")
    store.close()
    before = states(home)
    if length is None:
        cut.database.unlink()
    else:
        os.truncate(cut.database, length)
    log = (cut.path / "store.sqlite-wal").read_bytes()
    report = repair(cut)
    assert (report.held, report.missing, report.lost_batches) == ((), (), 0)
    assert states(cut) == before
    assert report.kept_in is not None
    assert (report.kept_in / "store.sqlite-wal").read_bytes() == log
    again = Store.open(cut)
    again.close()
    assert again.home_id == store.home_id


def test_a_repair_without_room_replaces_nothing_and_loses_nothing_when_there_is_room(home: Home) -> None:
    """A cut store is filled up before it is read: that this does not fit says nothing of its rows."""
    store = Store.open(home)
    store.commit(a_submission(10))
    store.backup()
    store.commit(a_submission(140, run=2, first=11, payload=f'{{"name": "{"p" * 300}"}}'))
    store.close()
    whole = home.database.read_bytes()
    os.truncate(home.database, len(whole) - 6 * PAGE + 100)
    cut = home.database.read_bytes()
    with files_up_to(len(cut)), pytest.raises(StoreFull, match="File too large") as full:
        repair(home)
    assert "doctor --repair" in full.value.hint
    assert home.database.read_bytes() == cut
    report = repair(home)
    gone = sum(1 + last - first for first, last in report.missing)
    assert len(states(home)) == COUNT - gone > 100


@pytest.mark.parametrize(
    ("number", "ours", "hint"),
    [
        (errno.EIO, StoreUnreadable, "copy what can be read"),
        (errno.ENOSPC, StoreFull, "Free space"),
        (errno.EACCES, StoreError, "Look: ls -l"),
    ],
)
def test_a_repair_says_whether_the_disk_is_full_or_cannot_be_read(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, ours: type[StoreError], hint: str
) -> None:
    """On a disk that can't be read it ended with "Free space"; what was copied from there is repaired elsewhere."""
    fill(home, backup=True)
    spoil_table(home, "runs")

    def fail(source: Path, _target: Path) -> None:
        raise OSError(number, os.strerror(number), str(source))

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "copyfile", fail)
        with pytest.raises(StoreError, match=os.strerror(number)) as found:
            repair(home)
    assert (type(found.value), found.value.hint.count(hint)) == (ours, 1)
    elsewhere = Home(tmp_path / "elsewhere")
    shutil.copytree(home.path, elsewhere.path, ignore=shutil.ignore_patterns("store.sqlite*", "damaged*"))
    assert repair(elsewhere).from_backup > 0
    check_home(elsewhere)


@pytest.mark.parametrize(
    "read", ["sqlite_schema", "application_id", "tasks ORDER BY rowid", "tasks WHERE rowid", "meta ORDER BY"]
)
def test_rows_that_the_system_does_not_let_us_read_are_not_taken_for_damaged(
    home: Home, monkeypatch: pytest.MonkeyPatch, read: str
) -> None:
    fill(home, backup=True)
    spoil_table(home, "runs")
    before = home.database.read_bytes()

    def fail(_cursor: apsw.Cursor, sql: str, _bindings: object) -> bool:
        if read in " ".join(sql.split()):
            raise apsw.IOError("disk I/O error")
        return True

    def failing(path: Path) -> apsw.Connection:
        connection = open_copy(path)
        connection.exec_trace = fail
        return connection

    monkeypatch.setattr(salvage, "open_copy", failing)
    with pytest.raises(StoreFull):
        repair(home)
    assert home.database.read_bytes() == before


def test_a_damaged_backup_is_told_and_left_as_it_is(home: Home) -> None:
    fill(home, backup=True)
    os.truncate(home.backup, home.backup.stat().st_size - 9_000)
    cut = home.backup.read_bytes()
    home.database.write_bytes(b"x" * 10_000)
    report = repair(home)
    assert home.backup.read_bytes() == cut
    assert report.from_backup > 50
    assert report.unread_backup
    told = f"The backup is damaged too: not all could be read of {report.unread_backup[0]}"
    assert any(line.startswith(told) for line in report.sentences())


def test_a_backup_of_which_nothing_is_readable_is_not_taken_for_none(home: Home) -> None:
    fill(home, backup=True)
    home.backup.write_bytes(b"x" * 10_000)
    spoil_table(home, "runs")
    assert "The backup is damaged too: nothing in it could be read." in repair(home).sentences()
    home.database.write_bytes(b"x" * 10_000)
    with pytest.raises(StoreDamaged, match="nor in the backup"):
        repair(home)


def test_a_newer_store_is_not_repaired(home: Home) -> None:
    fill(home)
    connection = open_writing(home.database)
    connection.pragma("user_version", 99)
    connection.close()
    with pytest.raises(StoreTooNew):
        repair(home)


def test_a_repair_that_was_interrupted_is_done_again(home: Home) -> None:
    fill(home)
    before = states(home)
    spoil_table(home, "runs")
    code = "import sys; from pathlib import Path; from passloop.store.home import Home; "
    code += "from passloop.store.repair import repair; repair(Home(Path(sys.argv[1])))"
    ended = subprocess.run(
        [sys.executable, "-c", code, str(home.path)], env={VARIABLE: "during_repair"}, timeout=60, check=False
    )
    assert ended.returncode == -9
    with pytest.raises(StoreDamaged):
        check_home(home)
    repair(home)
    assert states(home) == before


@pytest.mark.no_cover
def test_every_random_flip_is_repaired_or_refused(home: Home, tmp_path: Path) -> None:
    fill(home, backup=True)
    data = home.database.read_bytes()
    mark = home.mark.read_bytes()
    for number in range(len(data) // PAGE):
        spoilt = bytearray(data)
        spoilt[number * PAGE + 500 + number] ^= 1
        home.database.write_bytes(spoilt)
        home.mark.write_bytes(mark)
        report = repair(home)
        found = states(home)
        known = {task for task, state in found.items() if state in ("succeeded", "ready", "running")}
        gone = {task for first, last in report.missing for task in range(first, last + 1)}
        assert known | set(report.held) | gone == set(range(1, COUNT + 1))
        assert all(found[task] == "succeeded" for task in known if task <= 10)
        check_home(home)
