"""A repair that finds the home's id nowhere in the store takes that of what runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from passloop.drivers.processes.keeper.records import sealed
from passloop.drivers.workers.driver import WorkerDriver
from passloop.engine.attempts import attempt_name
from passloop.engine.witnesses import id_by_attempts, newest_attempt
from passloop.kernel import invariants
from passloop.kernel.changes import AttemptChanged, TaskChanged
from passloop.kernel.events import Exited, WorkerGone
from passloop.kernel.machine import Machine
from passloop.kernel.resources import Allocation
from passloop.kernel.tasks import OutcomeKind, TaskState
from passloop.store.connection import open_writing
from passloop.store.database import Store
from passloop.store.home import Home
from passloop.store.reader import Reader
from passloop.store.repair import repair
from tests.support.attempts import Heard
from tests.support.damage import lose_meta_of
from tests.support.store_rows import a_batch, a_submission, a_task, an_attempt, an_end
from tests.support.warm import call_of, call_order


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "home")
    home.prepare()
    return home


def leave(home: Home, attempt: int, text: bytes) -> None:
    folder = home.runs / "1" / str(attempt) / "1"
    folder.mkdir(parents=True)
    (folder / "start.json").write_bytes(text)


def forget_id(home: Home) -> None:
    """As if an earlier version had made the store, which has the id in the page of `meta` alone, and that is lost."""
    connection = open_writing(home.database)
    connection.pragma("application_id", 0)
    connection.close()
    lose_meta_of(home.database)


def test_a_repair_without_the_page_of_meta_keeps_the_id_that_attempts_have(home: Home) -> None:
    store = Store.open(home)
    store.commit(a_submission())
    store.close()
    leave(home, 7, sealed(json.dumps({"name": attempt_name(store.home_id, 7)}).encode()))
    forget_id(home)
    assert repair(home, id_by_attempts=id_by_attempts).unread == ("meta",)
    after = Store.open(home)
    after.close()
    assert after.home_id == store.home_id


def test_the_newest_whole_record_says_whose_the_home_is(home: Home) -> None:
    assert id_by_attempts(home) is None
    leave(home, 9, sealed(b'{"name": "aaaaaaaa-9"}'))
    leave(home, 10, sealed(b'{"name": "bbbbbbbb-10"}'))
    for attempt, text in ((11, b'{"name": "cccccccc-11"}'), (12, sealed(b'{"name": 12}')), (13, sealed(b"[]"))):
        leave(home, attempt, text)
    assert id_by_attempts(home) == "bbbbbbbb"


def test_what_runs_is_held_where_nothing_says_whose_the_home_is(home: Home) -> None:
    """Under its new id it would find nothing of it, and start it once more beside itself."""
    store = Store.open(home)
    store.commit(a_submission(3))
    store.commit(a_batch([AttemptChanged(an_attempt(n, allocation=Allocation(0))) for n in (1, 2)]))
    done = a_task(2, attempts=1, state=TaskState.SUCCEEDED, outcome=OutcomeKind.SUCCESS, ended_at=2_000)
    ended = AttemptChanged(an_end(2, allocation=Allocation(0)))
    store.commit(a_batch([TaskChanged(a_task(1, attempts=1, state=TaskState.RUNNING)), TaskChanged(done), ended]))
    store.close()
    forget_id(home)
    assert repair(home, id_by_attempts=id_by_attempts).held == (1,)
    after = Store.open(home)
    saved, now = after.load(), after.last_now
    after.close()
    assert after.home_id != store.home_id
    machine = Machine.restore(saved)
    machine.handle([], now, 0)
    invariants.check(machine, now)
    assert {task.row.id: str(task.row.state) for task in saved.tasks} == {1: "held", 3: "ready"}
    with Reader.open(home) as reader:
        ends = [row.outcome and row.outcome.kind for task in (1, 2) for row in reader.attempts(task)]
        view = reader.task(1)
    assert ends == [OutcomeKind.LOST, OutcomeKind.SUCCESS]
    assert view is not None
    assert "it may run still; look at it, then release it" in view.row.message


def test_what_a_repair_held_goes_on_after_the_attempts_that_left_a_folder(home: Home) -> None:
    """It was given the number of one that had run since the copy, found its place taken, and was charged as lost."""
    store = Store.open(home)
    store.commit(a_submission(4))
    store.commit(a_batch([AttemptChanged(an_attempt(3, allocation=Allocation(0)))]))
    store.commit(a_batch([TaskChanged(a_task(3, attempts=1, state=TaskState.RUNNING))]))
    copy = store.backup(home.path / "copy")
    store.commit(a_submission(1, run=2, first=5))
    store.close()
    copy.replace(home.database)
    for name in ("1/1", "2/2", "2/10", "2/x", "3/1", "3/2"):
        (home.runs / "1" / name).mkdir(parents=True)
    report = repair(home, id_by_attempts=id_by_attempts, newest_attempt=newest_attempt)
    assert (report.held, report.held_running) == ((1, 2, 4), (3,))
    with Reader.open(home) as reader:
        found = {view.row.id: (view.row.attempts, view.row.message) for view in reader.tasks()}
    assert {task: attempts for task, (attempts, _) in found.items()} == {1: 1, 2: 10, 3: 2, 4: 0}
    said = "it had an attempt {} that was lost with the store; look at it (passloop logs {}), then release it"
    assert [found[task][1] for task in (1, 2, 3)] == [said.format(1, 1), said.format(10, 2), said.format(2, 3)]
    assert "what happened to it last was lost" in found[4][1]


def test_a_copy_of_another_home_goes_on_beside_the_folders_that_are_there(home: Home, tmp_path: Path) -> None:
    """They are of other work, which its tasks never did."""
    store = Store.open(home)
    store.commit(a_submission(1))
    used = Home(tmp_path / "used")
    used.prepare()
    store.backup(used.database)
    store.close()
    (used.runs / "1" / "1" / "7").mkdir(parents=True)
    assert repair(used, newest_attempt=newest_attempt).is_foreign
    with Reader.open(used) as reader:
        (view,) = reader.tasks()
    assert (view.row.attempts, "passloop logs" in view.row.message) == (7, False)


async def test_a_home_with_warm_work_alone_is_known_by_a_worker_and_by_the_ends_of_its_cells(home: Home) -> None:
    """The start record of a cell on a warm worker names nobody: it is a link to one that all its cells have."""
    driver, heard = WorkerDriver(home.path), Heard()
    order = call_order(home.path, 7, call_of("nothing"), name=attempt_name("0badcafe", 7))
    ended = order.directory / "exit.json"
    await driver.start(heard)
    try:
        driver.launch(order)
        await heard.until(Exited, 7)
        ended.rename(ended.with_name("taken away"))
        assert id_by_attempts(home) == "0badcafe"
        driver.evict(order.attempt)
        await heard.until(WorkerGone, 7)
    finally:
        await driver.stop()
    assert (order.directory / "start.json").exists()
    assert id_by_attempts(home) is None
    ended.with_name("taken away").rename(ended)
    assert id_by_attempts(home) == "0badcafe"
