"""A copy is a whole store. In the home that it is of it goes on; any other makes a store of its own of it, and starts
nothing by itself.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from passloop.drivers.processes.keeper.records import sealed
from passloop.engine.attempts import attempt_name
from passloop.engine.witnesses import id_by_attempts
from passloop.kernel.changes import AttemptChanged, TaskChanged
from passloop.kernel.resources import Allocation
from passloop.kernel.tasks import TaskState
from passloop.store.database import Store
from passloop.store.errors import StoreDamaged
from passloop.store.home import Home
from passloop.store.integrity import check_home, open_checked
from passloop.store.repair import repair
from tests.support.store_rows import a_batch, a_submission, a_task, an_attempt
from tests.unit.store.test_repair import spoil_table
from tests.unit.store.test_repaired_runs import machine_of, with_a_source

ELSEWHERE = "it ran when its home was copied and may run there still; look at it, then release it"
OLDER = "restored from a backup; it may have run since: look at it, then release it"


def in_use(home: Home) -> Store:
    """Tasks 2 and 3 are ready, 4 runs; a run with a source has a task, too."""
    store = with_a_source(home)
    store.commit(a_submission(3, run=2, first=2))
    store.commit(a_batch([AttemptChanged(an_attempt(4, allocation=Allocation(0)))]))
    store.commit(a_batch([TaskChanged(a_task(4, run=2, attempts=1, state=TaskState.RUNNING))]))
    return store


def other_home(folder: Path, copy: Path) -> Home:
    """A new home with nothing but a copy."""
    other = Home(folder / "other")
    other.prepare()
    shutil.copyfile(copy, other.database)
    return other


def id_of(home: Home) -> str:
    store = Store.open(home)
    store.close()
    return store.home_id


def test_a_copy_is_a_whole_store_of_what_was_committed(store: Store, tmp_path: Path) -> None:
    store.commit(a_submission(5))
    path = store.backup(tmp_path / "copy.sqlite")
    store.commit(a_submission(5, run=2, first=6))
    with open_checked(other_home(tmp_path, path)) as reader:
        assert reader.count() == 5


def test_no_engine_takes_a_copy_in_another_home_until_a_repair_made_it_that_homes_own(
    home: Home, tmp_path: Path
) -> None:
    """What was ready or ran at the copy was started again, though it had ended since or ran still."""
    store = in_use(home)
    other = other_home(tmp_path, store.backup(tmp_path / "copy.sqlite"))
    for looks in (Store.open, check_home):
        with pytest.raises(StoreDamaged, match=f"a copy of that in {home.path}") as refused:
            looks(other)
        assert (refused.value.exit_code, "doctor --repair" in refused.value.hint) == (4, True)
    report = repair(other, id_by_attempts=id_by_attempts)
    assert (report.is_foreign, report.held, report.held_runs) == (True, (1, 2, 3, 4), (7,))
    assert report.sentences()[0].startswith("The store is this home's own now: the store is a copy")
    other.mark.unlink()  # as a power cut may
    check_home(other)
    copy = Store.open(other)
    assert copy.load().next_task > 1_000
    with copy.reader() as reader:
        messages = [view.row.message for view in reader.tasks() if view.row.id in (3, 4)]
        (attempt,) = reader.attempts(4)
    copy.close()
    assert copy.home_id != store.home_id
    assert (sorted(messages), attempt.state) == (sorted([OLDER, ELSEWHERE]), "ended")
    machine = machine_of(other)
    assert machine.counts() == {"held": 4}
    assert machine.sources()[0].row.held
    store.close()
    assert repair(other).whole


def test_processes_of_another_home_are_not_known_by_their_records_in_a_copied_folder(
    home: Home, tmp_path: Path
) -> None:
    store = in_use(home)
    folder = home.runs / "2" / "4" / "1"
    folder.mkdir(parents=True)
    name = attempt_name(store.home_id, 4)
    (folder / "start.json").write_bytes(sealed(json.dumps({"name": name}).encode()))
    other = other_home(tmp_path, store.backup(tmp_path / "copy.sqlite"))
    shutil.copytree(home.runs, other.runs)
    store.close()
    assert id_by_attempts(other) == store.home_id
    assert repair(other, id_by_attempts=id_by_attempts).is_foreign
    assert id_of(other) != store.home_id


def test_the_last_copy_goes_on_in_its_own_home_as_if_it_were_the_store(home: Home) -> None:
    store = in_use(home)
    copy = store.backup()
    store.close()
    shutil.copyfile(copy, home.database)
    assert repair(home, id_by_attempts=id_by_attempts).whole
    assert id_of(home) == store.home_id
    home.mark.unlink()  # from now on it is no copy, whatever is lost beside it
    assert machine_of(home).counts() == {"admitted": 2, "ready": 1, "running": 1}


def test_an_older_copy_in_its_own_home_keeps_the_id_and_what_runs(home: Home, tmp_path: Path) -> None:
    store = in_use(home)
    copy = store.backup(tmp_path / "copy.sqlite")
    store.commit(a_submission(1, run=8, first=5))
    store.close()
    shutil.copyfile(copy, home.database)
    report = repair(home, id_by_attempts=id_by_attempts)
    assert (report.is_foreign, report.held, report.held_running, report.lost_batches) == (False, (1, 2, 3), (4,), 1)
    assert id_of(home) == store.home_id
    assert machine_of(home).counts() == {"held": 3, "running": 1}


def test_a_copy_in_a_home_that_came_further_takes_neither_its_id_nor_its_backup(home: Home, tmp_path: Path) -> None:
    store = in_use(home)
    copy = store.backup(tmp_path / "copy.sqlite")
    store.close()
    other = Home(tmp_path / "used")
    other.prepare()
    used = Store.open(other)
    for n in range(20):
        used.commit(a_submission(1, run=30 + n, first=100 + n))
    used.backup()
    used.close()
    shutil.copyfile(copy, other.database)
    report = repair(other)
    assert (report.is_foreign, report.held, report.from_backup) == (True, (1, 2, 3, 4), 0)
    assert id_of(other) not in (store.home_id, used.home_id)


@pytest.mark.parametrize("table", ["journal", "tasks_by_state"])
def test_a_damaged_copy_in_another_home_is_that_homes_own_too(home: Home, tmp_path: Path, table: str) -> None:
    store = in_use(home)
    other = other_home(tmp_path, store.backup(tmp_path / "copy.sqlite"))
    store.close()
    spoil_table(other, table)
    report = repair(other)
    assert (report.is_foreign, report.held) == (True, (1, 2, 3, 4))
    assert id_of(other) != store.home_id
