"""Every named crash point is hit, and nothing is lost or repeated by it.

Each name belongs to one scenario: an engine under work, one that finds an attempt that never began, one that ends a
warm worker, one on a full disk, a store in use, a repair, and the processes of the keeper and of warm workers. Those of
calls are in P12, those of files in `test_crash_points_of_files`; `test_no_edge_is_missed` holds that none is left out.
Each who dies says first where: a scenario in which nobody dies at its place fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from passloop.cli.exits import CliError
from passloop.crashpoints import VARIABLE
from passloop.drivers.identity import Process, boot_id, process_from_json
from passloop.drivers.processes.strays import wait_gone
from passloop.drivers.workers.driver import WorkerDriver
from passloop.kernel.events import Exited, Started, WorkerGone
from passloop.kernel.tasks import FINAL_STATES, OutcomeKind
from passloop.store.database import Store
from passloop.store.home import Home
from passloop.store.inotify import watcher
from passloop.store.integrity import check_home
from passloop.store.reader import Reader
from passloop.store.repair import repair
from tests.support import store_to_kill
from tests.support.attempts import PATIENCE, Heard, Stage
from tests.support.damage import PAGE, TASKS, copy_of, flip, killed_home, states_of
from tests.support.deaths import Place, dies_at
from tests.support.killing import ROOT, SECONDS, Field, Nursery, Victim
from tests.support.promises import record
from tests.support.store_rows import a_submission
from tests.support.warm import call_of, call_order

DELETED = 0x200
"""Of inotify: a file is gone from a folder."""

SOME_TIMES = (1, 2, 3, 5, 8, 13, 21, 34)
EACH_TIME = range(1, 61)

NEVER_BEGAN = ("before_tombstone", "after_tombstone")
ENDS_A_WORKER = ("before_evict", "after_evict")
FULL_DISK = ("before_ballast_is_given_up", "after_ballast_is_given_up", "before_resuming")
STORE_IN_USE = (
    "after_store_file", "before_migration_commit", "after_migration_commit", "before_durations_commit",
    "after_durations_commit", "before_home_id_commit", "after_home_id_commit",
    "before_commit", "after_commit", "before_samples_commit", "after_samples_commit",
    "before_backup", "after_backup", "before_removal_commit", "after_removal_commit",
)  # fmt: skip
REPAIR = (
    "before_rebuild", "before_rebuild_commit", "after_rebuild_commit", "before_repair", "during_repair",
    "repair_without_store", "repair_without_logs", "after_repair",
)  # fmt: skip
ENGINE = (
    "before_commit", "after_commit", "before_launch", "after_launch", "before_stop", "after_stop", "after_stop_wish",
    "before_answers", "after_answers", "before_reattach", "after_reattach",
)  # fmt: skip
SHIM = {
    "shim_before_start_record": (OutcomeKind.LOST, {0}),
    "shim_start_record_unnamed": (OutcomeKind.LOST, {0}),
    "shim_after_start_record": (OutcomeKind.LOST, {0}),
    "shim_after_start_report": (OutcomeKind.LOST, {0}),
    "shim_after_spawn": (OutcomeKind.LOST, {0, 1}),
    "shim_before_exit_record": (OutcomeKind.LOST, {1}),
    "shim_exit_record_unnamed": (OutcomeKind.LOST, {1}),
    "shim_before_exit_report": (OutcomeKind.SUCCESS, {1}),
    "shim_after_exit_report": (OutcomeKind.SUCCESS, {1}),
    "shim_after_exit_sync": (OutcomeKind.SUCCESS, {1}),
}
"""Where a shim dies, how its attempt ends, and how often its command may have run."""
WORKER = {
    "worker_before_start_record": (OutcomeKind.LOST, False),
    "worker_after_start_record": (OutcomeKind.LOST, False),
    "worker_before_exit_record": (OutcomeKind.LOST, True),
    "worker_before_exit_report": (OutcomeKind.SUCCESS, True),
    "worker_after_exit_report": (OutcomeKind.SUCCESS, True),
}
"""Where a warm worker dies, how its cell ends, and whether the function was called."""
ZYGOTE = ("zygote_before_order", "zygote_after_order")


def dies(field: Field, nursery: Nursery, acknowledged: dict[int, str | None], asked: dict[str, str]) -> bool:
    """Whether an engine that is asked to die somewhere does, on the way through a small piece of work."""
    engine = nursery.engine(field.home.path, field.environ | asked)
    try:
        if engine.wait_ready():
            work_through(field, acknowledged, asked[VARIABLE])
            engine.kill()
            return False
    except (CliError, OSError):
        pass  # it died before it could answer
    engine.end(-signal.SIGKILL)
    return True


def work_through(field: Field, acknowledged: dict[int, str | None], place: str) -> None:
    """A task that succeeds, one that fails twice, one that is cancelled while it runs."""
    for work, rest in ((0, {}), (0, {"code": 3, "spec": {"retries": {"failure": 1}}}), ("gate", {})):
        key = f"{place}-{work}-{len(rest)}"
        ids = field.submit(work, key=key, **rest)
        acknowledged[ids[0]] = key
    field.wait_running(ids)
    field.cancel(ids)
    field.wait_final(sorted(acknowledged))


def left_running(field: Field, nursery: Nursery) -> list[int]:
    """Tasks that run, without an engine."""
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    ids = field.submit("gate", count=2)
    field.wait_running(ids)
    engine.kill()
    return ids


def recover(field: Field, nursery: Nursery) -> Victim:
    """The next engine, which brings everything to its end."""
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    with Reader.open(field.home) as reader:
        left = [one for one in reader.tasks() if one.row.state not in FINAL_STATES]
    waiting = [one.row.id for one in left if json.loads(one.payload)["command"][-2] == "gate"]
    if waiting:
        field.cancel(waiting)
    field.wait_final([one.row.id for one in left])
    return engine


def check(field: Field, nursery: Nursery, acknowledged: dict[int, str | None]) -> None:
    last = recover(field, nursery)
    field.assert_p01_nothing_acknowledged_is_lost(acknowledged)
    field.assert_p02_no_committed_attempt_runs_again()
    field.assert_p03_at_most_one_live_attempt_per_task()
    field.assert_p04_no_device_was_held_twice()
    field.assert_p05_what_ran_was_seen_to_its_end()
    field.assert_everything_is_free_and_whole()
    last.kill()


def engines_die_at(place: Place, times: Iterator[int], field: Field, nursery: Nursery) -> None:
    """One dies the first time it comes by, another one a later time, until one does not come by so often."""
    acknowledged: dict[int, str | None] = dict.fromkeys(left_running(field, nursery))
    deaths = 0
    while dies(field, nursery, acknowledged, place.nth(next(times))):
        deaths += 1
        assert len(place.dead()) == deaths
        recover(field, nursery).kill()
    check(field, nursery, acknowledged)
    for promise in ("P1", "P2", "P3", "P5"):
        record(promise, "killed at a named crash point: nothing lost or repeated", deaths_at_points=deaths)


@dies_at(*ENGINE)
def test_p01_p02_p03_an_engine_that_dies_at(place: Place, field: Field, nursery: Nursery) -> None:
    engines_die_at(place, iter(SOME_TIMES), field, nursery)


@pytest.mark.large
@pytest.mark.timeout(600)
@dies_at(*ENGINE)
def test_p01_p02_p03_an_engine_that_dies_each_time_at(place: Place, field: Field, nursery: Nursery) -> None:
    engines_die_at(place, iter(EACH_TIME), field, nursery)


@dies_at(*NEVER_BEGAN)
def test_p02_p03_an_engine_that_forbids_a_start_dies_at(place: Place, field: Field, nursery: Nursery) -> None:
    """It is the third one: the first left two attempts running, the second claimed one and died before its launch."""
    acknowledged: dict[int, str | None] = dict.fromkeys(left_running(field, nursery))
    assert dies(field, nursery, acknowledged, {VARIABLE: "before_launch"})
    assert dies(field, nursery, acknowledged, place.environ)
    check(field, nursery, acknowledged)
    never_began = [one for _, attempts in field.ledger().values() for one in attempts if one.started_at is None]
    assert [one.outcome.message for one in never_began if one.outcome] == ["never started"]


@dies_at(*ENDS_A_WORKER)
def test_p06_an_engine_that_ends_a_warm_worker_dies_at(place: Place, field: Field, nursery: Nursery) -> None:
    """Its run is over, so the worker is to end; the next engine sees to that, and gives its device to others."""
    engine = nursery.engine(field.home.path, field.environ | place.environ)
    assert engine.wait_ready()
    task = {"command": ["record"], "call": call_of("record", str(field.folder), 0)}
    ids = field.submit_tasks([task], cwd=str(ROOT), spec={"warm_key": "key"})
    engine.end(-signal.SIGKILL)
    assert place.dead() == [engine.pid]
    last = recover(field, nursery)
    field.wait_final(field.submit(0, gpus=4))
    workers = [Process(line.pid, line.ticks, boot_id()) for line in field.lines()]
    asyncio.run(asyncio.wait_for(wait_gone(workers), SECONDS))
    field.assert_p01_nothing_acknowledged_is_lost(dict.fromkeys(ids))
    field.assert_p02_no_committed_attempt_runs_again()
    field.assert_everything_is_free_and_whole()
    last.kill()


def limit_files(engine: Victim, size: int) -> None:
    """From now on the engine can let no file grow over `size` bytes, which to it is a full disk."""
    _, most = resource.prlimit(engine.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(engine.pid, resource.RLIMIT_FSIZE, (size, most))


@dies_at(*FULL_DISK)
def test_p08_an_engine_on_a_full_disk_dies_at(place: Place, field: Field, nursery: Nursery) -> None:
    engine = nursery.engine(field.home.path, field.environ | place.environ)
    assert engine.wait_ready()
    acknowledged: dict[int, str | None] = dict.fromkeys(field.submit("gate", count=2))
    field.wait_running(sorted(acknowledged))
    with ThreadPoolExecutor(1) as thread, watcher() as watch:
        watch.add(str(field.home.path), DELETED)
        limit_files(engine, 0)
        asked = thread.submit(field.submit, 0)
        if place.name == "before_resuming":
            assert select.select([watch], [], [], SECONDS)[0], "the ballast is not given up"
            limit_files(engine, resource.RLIM_INFINITY)
        engine.end(-signal.SIGKILL)
        assert isinstance(asked.exception(SECONDS), CliError | OSError)
    check(field, nursery, acknowledged)
    record("P8", "killed at a named crash point on a full disk: 0 acknowledged lost", deaths_at_points=1)


def until_killed(*words: str, place: Place) -> list[str]:
    """Run a program of the tests that must die at `place`; what it had said."""
    done = subprocess.run(
        [sys.executable, *words],
        env=os.environ | place.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])},
        cwd=ROOT,
        timeout=SECONDS,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert len(place.dead()) == 1
    return done.stdout.split()


@dies_at(*STORE_IN_USE)
def test_p01_a_store_in_use_dies_at(place: Place, tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    said = until_killed("-m", "tests.support.store_to_kill", str(home.path), place=place)
    check_home(home)
    store = Store.open(home)
    with contextlib.closing(store), store.reader() as reader:
        tasks = {view.row.id for view in reader.tasks()}
        assert store.last_seq >= 2 * ("committed" in said)
        assert "committed" not in said or tasks >= set(range(2, store_to_kill.TASKS + 1))
        assert "removed" not in said or store_to_kill.REMOVED not in tasks
        if "sampled" in said and store_to_kill.REMOVED in tasks:
            assert reader.samples(1) == [store_to_kill.SAMPLE]
        store.commit(a_submission(1, run=9, first=store_to_kill.TASKS + 1))
    if "copied" in said:
        copy = Home(tmp_path / "copy")
        copy.prepare()
        home.backup.replace(copy.database)
        assert repair(copy).is_foreign
        assert set(states_of(copy)) == set(range(1, store_to_kill.TASKS + 1))


@dies_at(*REPAIR)
def test_p09_a_repair_dies_at_and_is_done_again(place: Place, tmp_path: Path) -> None:
    """What only the log held must be there after it, too."""
    home, page = killed_home(tmp_path)
    truth = states_of(copy_of(home, tmp_path / "whole"))
    assert len(truth) == TASKS
    flip(home.database, (page - 1) * PAGE + 100)
    code = "import sys; from pathlib import Path; from passloop.store.home import Home; "
    code += "from passloop.store.repair import repair; print(repair(Home(Path(sys.argv[1]))).whole)"
    until_killed("-c", code, str(home.path), place=place)
    again = [subprocess.check_output([sys.executable, "-c", code, str(home.path)], text=True) for _ in range(2)]
    assert again == ["True\n" if place.name == "after_repair" else "False\n", "True\n"]
    assert states_of(home) == truth
    record("P9", "a repair killed at a named crash point and done again: nothing lost", deaths_at_points=1)


@contextlib.asynccontextmanager
async def dying(folder: Path, asked: dict[str, str]) -> Iterator[Stage]:  # type: ignore[misc]
    """A driver whose first zygote has the place in its environment; those that follow have not."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, asked[VARIABLE])
        stage = Stage(folder)
        await stage.driver.start(stage.heard)
    try:
        yield stage
    finally:
        await stage.__aexit__(None, None, None)


def counting(folder: Path) -> list[str]:
    """A command that leaves one line for each time that it runs."""
    return ["sh", "-c", f"echo $PASSLOOP_TASK_ID >> '{folder}/ran'"]


def times_run(folder: Path, attempt: int) -> int:
    ran = folder / "ran"
    return ran.read_text().split().count(str(attempt)) if ran.exists() else 0


@dies_at(*SHIM)
async def test_p02_p05_a_shim_dies_at(place: Place, tmp_path: Path) -> None:
    kind, times = SHIM[place.name]
    async with dying(tmp_path, place.environ) as stage:
        exited = await stage.run(counting(tmp_path), 1)
        assert exited.outcome.kind is kind
        assert times_run(tmp_path, 1) in times
        started = stage.heard.find(Started, 1)
        if started is not None:
            async with asyncio.timeout(PATIENCE):
                await wait_gone([process_from_json(started.process)])
            assert place.dead() == [process_from_json(started.process).pid]
        assert started is not None or kind is OutcomeKind.LOST
        assert stage.heard.of(1)[-1] == "Exited"


@pytest.mark.parametrize("nth", [1, 2])
@dies_at(*ZYGOTE)
async def test_p02_p05_a_zygote_dies_at(place: Place, nth: int, tmp_path: Path) -> None:
    """The first order is carried out by a shim that is forked for it, the second by one that rests."""
    async with dying(tmp_path, place.nth(nth)) as stage:
        for attempt in (1, 2, 3):
            assert (await stage.run(counting(tmp_path), attempt)).outcome.kind is OutcomeKind.SUCCESS
            assert times_run(tmp_path, attempt) == 1
        assert stage.driver.statistics()["zygote_starts"] == 2


@dies_at(*WORKER)
async def test_p02_p05_a_warm_worker_dies_at(place: Place, tmp_path: Path) -> None:
    kind, called = WORKER[place.name]
    driver, heard = WorkerDriver(tmp_path), Heard()
    await driver.start(heard)
    try:
        call = {"target": "os:mkdir", "args": [str(tmp_path / "called")], "kwargs": {}}
        driver.launch(call_order(tmp_path, 1, call, environment={"PATH": os.environ["PATH"]} | place.environ))
        exited = await heard.until(Exited, 1)
        assert exited.outcome.kind is kind
        assert (tmp_path / "called").exists() is called
        if kind is OutcomeKind.SUCCESS:
            await heard.until(WorkerGone, 1)
        driver.launch(call_order(tmp_path, 2, call_of("nothing")))
        assert (await heard.until(Exited, 2)).outcome.kind is OutcomeKind.SUCCESS
    finally:
        await driver.stop()


def command(field: Field, *words: str, asked: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "passloop.cli", *words],
        env=field.environ | dict(asked or {}),
        cwd=ROOT,
        timeout=SECONDS,
        capture_output=True,
        text=True,
        check=False,
    )


@dies_at("after_commit", "before_launch")
def test_p01_the_daemon_dies_at_and_another_one_comes_up(place: Place, field: Field) -> None:
    """The same with the daemon that people use, started by its command."""
    assert command(field, "up").returncode == 0
    ids = field.submit(0, count=2, key=None)
    field.wait_final(ids)
    assert command(field, "down").returncode == 0
    command(field, "submit", "--key", "again", "--", "true", asked=place.environ)
    assert command(field, "up").returncode == 0
    again = command(field, "submit", "--json", "--key", "again", "--", "true")
    assert again.returncode == 0
    field.wait_final(json.loads(again.stdout)["tasks"])
    ledger = field.ledger()
    assert [row.key for row, _ in ledger.values()].count("again") == 1
    assert set(ids) < set(ledger)
    field.assert_everything_is_free_and_whole()
    assert command(field, "down").returncode == 0
