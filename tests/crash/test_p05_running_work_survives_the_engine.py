"""P5: what runs goes on when the engine is killed or upgraded, is found again, and nobody else is ever signalled."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import passloop
from passloop.cli.client import Client
from passloop.drivers.identity import process_from_json
from passloop.drivers.processes.keeper.records import sealed
from passloop.engine.attempts import attempt_folder
from passloop.engine.witnesses import id_by_attempts
from passloop.kernel.tasks import OutcomeKind, TaskState
from passloop.store.backup import copy_store
from passloop.store.database import Store
from passloop.store.errors import StoreTooNew
from passloop.store.home import Home, HomeLock
from passloop.store.migrate import latest_version
from passloop.store.repair import repair
from tests.support.bystander import Bystander
from tests.support.damage import lose_meta_of
from tests.support.kill_runs import KillRuns, Remains
from tests.support.killing import SECONDS, Field, Nursery
from tests.support.promises import record

EIGHT = 8


@pytest.fixture
def eight(tmp_path: Path) -> Iterator[Field]:
    with Field.on(tmp_path, gpus="8x80GiB") as field:
        yield field


def running(field: Field) -> dict[int, tuple[str, int]]:
    """Tasks that run as the engine tells it, with the process over each and how many attempts they had."""
    found = field.client.get("/tasks", [("select", "state:running")], timeout=SECONDS)["tasks"]
    ledger = field.ledger()
    return {task["id"]: (ledger[task["id"]][1][-1].process, task["attempt"]) for task in found}


def eight_run(field: Field, nursery: Nursery) -> dict[int, tuple[str, int]]:
    """Eight tasks that wait at the gate, and no engine any more."""
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    field.wait_running(field.submit("gate", count=EIGHT))
    field.wait_lines("start", EIGHT)
    before = running(field)
    assert len(before) == EIGHT
    engine.kill()
    return before


def kills_restart_nothing(field: Field, nursery: Nursery, *, cycles: int) -> None:
    """Each cycle: one of the eight ends while there is no engine, seven are found again, one is added."""
    engine = nursery.engine(field.home.path, field.environ)
    assert engine.wait_ready()
    field.wait_running(field.submit("gate", count=EIGHT))
    for cycle in range(1, cycles + 1):
        before = running(field)
        assert len(before) == EIGHT
        engine.kill()
        field.open_gate()
        ended = field.wait_lines("end", cycle)[-1]
        engine = nursery.engine(field.home.path, field.environ)
        assert engine.wait_ready()
        field.wait_final([ended.task])
        assert running(field) == {task: how for task, how in before.items() if task != ended.task}
        field.wait_running(field.submit("gate"))
    field.open_gate(EIGHT)
    field.wait_final(sorted(field.ledger()))
    assert {row.attempts for row, _ in field.ledger().values()} == {1}
    assert {row.state for row, _ in field.ledger().values()} == {TaskState.SUCCEEDED}
    assert len(field.lines()) == 2 * (EIGHT + cycles)
    field.assert_p03_at_most_one_live_attempt_per_task()
    field.assert_everything_is_free_and_whole()
    figure = f"{cycles} kills with {EIGHT} attempts running: all re-adopted, 0 restarted"
    record("P5", figure, cycles=cycles, adopted=(EIGHT - 1) * cycles, restarted=0)


def test_p05_eight_running_attempts_survive_ten_kills(eight: Field, nursery: Nursery) -> None:
    kills_restart_nothing(eight, nursery, cycles=10)


@pytest.mark.large
@pytest.mark.timeout(600)
def test_p05_eight_running_attempts_survive_a_hundred_kills(eight: Field, nursery: Nursery) -> None:
    kills_restart_nothing(eight, nursery, cycles=100)


def test_p05_whoever_has_the_pid_of_a_dead_shim_is_left_alone(eight: Field, nursery: Nursery) -> None:
    """Of eight shims one died and its pid is another's now; one ran before the machine was started anew."""
    before = eight_run(eight, nursery)
    recycled, rebooted = sorted(before)[:2]
    with Bystander() as one, Bystander() as other:
        end_shim(eight, recycled, pid=one.pid)
        end_shim(eight, rebooted, pid=other.pid, ticks=other.ticks, boot="another-boot")
        engine = nursery.engine(eight.home.path, eight.environ)
        assert engine.wait_ready()
        eight.wait_lines("start", EIGHT + 2)
        eight.open_gate(EIGHT)
        eight.wait_final(sorted(before))
    ledger = eight.ledger()
    assert {row.state for row, _ in ledger.values()} == {TaskState.SUCCEEDED}
    assert {task for task, (row, _) in ledger.items() if row.attempts == 2} == {recycled, rebooted}
    for task in (recycled, rebooted):
        first = ledger[task][1][0].outcome
        assert first is not None
        assert first.kind is OutcomeKind.LOST
    for task in set(before) - {recycled, rebooted}:
        assert (ledger[task][1][0].process, ledger[task][0].attempts) == before[task]
    eight.assert_p03_at_most_one_live_attempt_per_task()
    eight.assert_everything_is_free_and_whole()
    engine.kill()
    record(
        "P5",
        "a recycled pid and a changed boot id: 6 of 6 re-adopted, 0 signals to a wrong process",
        recycled=1,
        rebooted=1,
        wrong=0,
    )


def end_shim(field: Field, task: int, **changes: int | str) -> None:
    """Kill the shim of a task's attempt with its tree, and change what its start record says."""
    row, attempts = field.ledger()[task]
    shim = process_from_json(attempts[-1].process).pid
    (line,) = [line for line in field.lines() if line.task == task]
    for pid in (shim, line.pid):
        held = os.pidfd_open(pid)
        signal.pidfd_send_signal(held, signal.SIGKILL)
        os.close(held)
    path = attempt_folder(field.home, row.run, task, row.attempts) / "start.json"
    path.write_bytes(sealed(json.dumps(json.loads(path.read_bytes()) | changes).encode()))


def test_p05_a_repair_without_the_page_of_meta_finds_what_runs(eight: Field, nursery: Nursery) -> None:
    """By the home's id, which that page holds: under another one eight would be lost, and run beside themselves."""
    before = eight_run(eight, nursery)
    home_id = eight.home_id()
    lose_meta_of(eight.home.database)
    with HomeLock(eight.home):
        assert repair(eight.home).unread == ("meta",)
    assert not eight.home.backup.exists()
    engine = nursery.engine(eight.home.path, eight.environ)
    assert engine.wait_ready()
    assert running(eight) == before
    eight.open_gate(EIGHT)
    eight.wait_final(sorted(before))
    assert {(row.state, row.attempts) for row, _ in eight.ledger().values()} == {(TaskState.SUCCEEDED, 1)}
    assert (eight.home_id(), len(eight.lines())) == (home_id, 2 * EIGHT)
    eight.assert_p03_at_most_one_live_attempt_per_task()
    eight.assert_everything_is_free_and_whole()


def test_p05_a_copy_of_the_store_finds_what_runs_in_its_own_home_and_in_no_other(
    eight: Field, nursery: Nursery, tmp_path: Path
) -> None:
    """It started all of it again in a new home, under the same names; logs and records are there in both."""
    before = eight_run(eight, nursery)
    engine = nursery.engine(eight.home.path, eight.environ)
    assert engine.wait_ready()
    copy = tmp_path / "copy.sqlite"
    copy_store(eight.home.database, copy)
    newer = eight.submit(0, gpus=0)
    eight.wait_final(newer)
    other = Home(tmp_path / "other")
    other.prepare()
    shutil.copyfile(copy, other.database)
    shutil.copytree(eight.home.runs, other.runs)
    assert_nothing_runs_in(other, nursery, eight.environ)
    assert running(eight) == before
    engine.kill()
    for path in eight.home.path.glob("store.sqlite*"):
        path.unlink()
    shutil.copyfile(copy, eight.home.database)
    with HomeLock(eight.home):
        report = repair(eight.home, id_by_attempts=id_by_attempts)
    assert (report.is_foreign, report.held, report.lost_batches > 0) == (False, (), True)
    assert report.held_running == tuple(sorted(before))
    assert nursery.engine(eight.home.path, eight.environ).wait_ready()
    assert running(eight) == before
    eight.open_gate(EIGHT)
    eight.wait_final(sorted(before))
    assert {(row.state, row.attempts) for row, _ in eight.ledger().values()} == {(TaskState.SUCCEEDED, 1)}
    assert len(eight.lines()) == 2 * (EIGHT + len(newer))


def assert_nothing_runs_in(other: Home, nursery: Nursery, environ: Mapping[str, str]) -> None:
    """Nor does an engine there take anybody for its own: what ran at the copy is held, and that attempt is over."""
    with HomeLock(other):
        assert repair(other, id_by_attempts=id_by_attempts).is_foreign
    engine = nursery.engine(other.path, environ)
    assert engine.wait_ready()
    tasks = Client(str(other.path)).get("/tasks", timeout=SECONDS)["tasks"]
    assert [(task["state"], task["attempt"]) for task in tasks] == [("held", 1)] * EIGHT
    engine.kill()


def test_p05_an_upgrade_finds_what_the_older_version_started(eight: Field, nursery: Nursery, tmp_path: Path) -> None:
    """The newer one is elsewhere, calls itself newer and brings a newer schema; it knows none of the older's files."""
    before = eight_run(eight, nursery)
    newer = newer_version(tmp_path / "newer")
    with Nursery(environ=os.environ | {"PYTHONPATH": str(newer)}) as upgraded:
        engine = upgraded.engine(eight.home.path, eight.environ)
        assert engine.wait_ready()
        assert eight.client.get("/status", timeout=SECONDS)["engine"]["version"] == "9.0.0"
        assert {task["id"] for task in running_now(eight)} == set(before)
        more = eight.submit(0, gpus=0)
        eight.open_gate(EIGHT)
        eight.wait_final([*before, *more])
        engine.kill()
    assert len(eight.lines()) == 2 * (EIGHT + 1)
    with pytest.raises(StoreTooNew):
        Store.open(eight.home)
    record("P5", f"an upgrade with {EIGHT} attempts running: all re-adopted, 0 restarted", upgrades=1, restarted=0)


def running_now(field: Field) -> list[dict[str, int]]:
    """As `/tasks` gives it: the tests' own passloop cannot read a newer store."""
    found: list[dict[str, int]] = field.client.get("/tasks", [("select", "state:running")], timeout=SECONDS)["tasks"]
    return found


def newer_version(folder: Path) -> Path:
    """A copy of passloop as version 9.0.0 with one more migration; the folder to import it from."""
    shutil.copytree(Path(passloop.__path__[0]), folder / "passloop", ignore=shutil.ignore_patterns("__pycache__"))
    steps = folder / "passloop" / "store" / "migrations"
    (steps / f"{latest_version() + 1:04}_newer.sql").write_text("CREATE TABLE newer (x INTEGER)")
    about = folder / "passloop-9.0.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: passloop\nVersion: 9.0.0\n")
    return folder


def judge(runs: list[Remains]) -> None:
    kills = sum(run.kills for run in runs)
    for run in runs:
        run.assert_p05_what_ran_was_seen_to_its_end(run.asked)
        run.assert_whole_and_nobody_lives()
    attempts = sum(line.what == "start" for run in runs for line in run.lines())
    record("P5", f"{kills} kills, {attempts} attempts ran, 0 taken for lost", kills=kills, attempts=attempts, lost=0)


@pytest.mark.timeout(300)
def test_p05_two_hundred_kills_take_nothing_that_ran_for_lost(kill_runs: KillRuns) -> None:
    judge(kill_runs.all(kills=50, seeds=range(4)))


@pytest.mark.large
@pytest.mark.timeout(3_600)
def test_p05_a_thousand_kills_take_nothing_that_ran_for_lost(kill_runs: KillRuns) -> None:
    judge(kill_runs.all(kills=100, seeds=range(10, 20)))
