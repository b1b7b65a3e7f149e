"""P9: a store, log, journal or record that is not as it was written is noticed, never taken for empty or for the truth.

Bits are flipped and files cut at random offsets; then people look, ask the doctor, start an engine, and let the doctor
repair; `repair_judge` says from the damaged place alone what may then be gone. Commands run in this process: hundreds
of them would not fit into CI otherwise, and each says what it would say to a person.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest

from passloop.cli.exits import Exit
from passloop.cli.main import main
from passloop.drivers.base import LiveAttempt
from passloop.drivers.processes.reattach import look
from passloop.engine.settings import EngineSettings
from passloop.kernel import invariants
from passloop.kernel.machine import Machine
from passloop.kernel.tasks import OutcomeKind
from passloop.store import salvage
from passloop.store.database import Store
from passloop.store.errors import StoreDamaged
from passloop.store.home import Home
from passloop.store.integrity import check_home
from passloop.store.repair import repair
from passloop.store.salvage import TABLES
from passloop.web.host import open_host
from tests.support.attempts import Stage, live_of, order_for
from tests.support.damage import PAGE, copy_of, flip, killed_home, leave_records
from tests.support.memory_folder import memory_folder
from tests.support.promises import record
from tests.support.repair_judge import Judge
from tests.support.sick_home import ENDINGS, INDEX, LOG, MARK, STORE, Damage, Patient, Rows, rows_in
from tests.support.store_rows import a_submission

IN_VAIN = 2_000
"""After how many reads in vain a table is given up: more than any here has rows, and fewer than the 30,000 of a repair,
which a table without its first page costs.
"""
SHOWN = 40
STATE = 7
"""Which column of a task's row is its state."""
OUTPUT = "a line\nschön \U0001f600\n" * 40


class Said(NamedTuple):
    """What a command said."""

    code: int
    out: str
    err: str


def passloop(home: Home, *words: str) -> Said:
    """Run a command on a home. A traceback is never an answer."""
    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        patch.setenv("PASSLOOP_HOME", str(home.path))
        code = main(list(words))
    said = Said(code, *(_written(stream) for stream in (out, err)))
    assert "Traceback" not in said.err
    assert said.code != Exit.BUG, said
    return said


def _written(stream: io.TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()


def is_true(said: Said, truth: Rows) -> bool:
    """Whether so many tasks are shown as were asked for, and none in another state than its own."""
    states = {task: row[STATE] for (task,), row in truth["tasks"].items()}
    shown = {task["id"]: task["state"] for task in json.loads(said.out)["tasks"]} if said.code == 0 else {}
    return len(shown) == SHOWN and shown.items() <= states.items()


def is_said(said: Said) -> bool:
    return said.code == Exit.STORE_DAMAGED and "passloop doctor --repair" in said.out + said.err


def check_what_is_seen(home: Home, truth: Rows) -> bool:
    """Whether the doctor finds damage. Who only looks, and who starts, is told of it, or sees the truth."""
    seen = passloop(home, "ls", "--json", "--limit", str(SHOWN))
    assert is_said(seen) or is_true(seen, truth), seen
    doctor = passloop(home, "doctor")
    if doctor.code == 0:
        assert is_true(seen, truth)
        Store.open(home).close()
        assert rows_in(home.database) == truth
        return False
    assert is_said(doctor), doctor
    check_nobody_starts(home)
    return True


def check_nobody_starts(home: Home) -> None:
    """What is damaged stays as it was found: a repair must see all that is left, of the log too."""
    before = files_of(home)
    with pytest.raises(StoreDamaged) as refused:
        asyncio.run(started(home))
    assert (refused.value.exit_code, "passloop doctor --repair" in refused.value.hint) == (Exit.STORE_DAMAGED, True)
    assert files_of(home) == before
    assert not home.socket.exists()


async def started(home: Home) -> None:
    """Come up as the daemon does, and go down at once."""
    async with open_host(home.path, EngineSettings(environ={"PASSLOOP_VIRTUAL_GPUS": "1x8GiB"})):
        raise AssertionError("an engine came up on a damaged store")


def files_of(home: Home) -> list[bytes]:
    """What a repair reads; an empty log says nothing."""
    found = [home.path / name for name in (STORE, LOG)]
    return [path.read_bytes() for path in found if path.exists() and path.stat().st_size]


def check_the_repair(home: Home, damage: Damage, backup: Rows) -> str:
    """A repair brings back what can be read, says what is gone, and lets nothing start that may have run."""
    try:
        report = repair(home)
    except StoreDamaged as error:
        hopeless = str(error)
        assert not any((backup, damage.known["tasks"], damage.known["journal"])), hopeless
        assert "nothing in it could be read and there is no backup\nBring back a copy" in hopeless
        return "hopeless"
    check_home(home)
    Judge(damage, backup, report, rows_in(home.database)).check()
    store = Store.open(home)
    machine = Machine.restore(store.load())
    machine.handle([], store.last_now, 0)
    invariants.check(machine, store.last_now)
    store.close()
    return "repaired"


def damage_again_and_again(folder: Path, *, times: int, seed: int, **kind: Any) -> Counter[str]:
    choice = Random(seed)
    patient = Patient(folder, **kind)
    seen: Counter[str] = Counter()
    for number in range(times):
        home, damage = patient.damaged(folder / str(number), choice)
        noticed = check_what_is_seen(home, patient.truth.rows)
        seen["noticed" if noticed else "harmless"] += 1
        assert not noticed or damage.target not in (INDEX, MARK)
        if noticed:
            seen[check_the_repair(home, damage, patient.backup)] += 1
        shutil.rmtree(home.path)
    assert seen["repaired"] > times // 4
    figure = (
        f"{times} flips and cuts of store, log, journal: {seen['harmless']} changed nothing that is read, "
        f"{seen['noticed']} refused with exit 4: {seen['repaired']} repaired, {seen['hopeless']} with nothing left"
    )
    record("P9", figure, damaged=seen["noticed"] + seen["harmless"], **seen)
    return seen


KINDS: dict[str, dict[str, Any]] = {
    "killed": {"backup": False, "last": "removal"},
    "backed-up": {"backup": True},
    "stopped": {"backup": False, "stopped": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_p09_a_damaged_store_is_noticed_and_repaired(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(salvage, "FAILURES_MOST", IN_VAIN)
    with memory_folder("damaged") as folder:
        damage_again_and_again(folder, times=67, seed=len(kind), **KINDS[kind])


def test_p09_a_page_of_each_table_is_lost_beside_an_older_backup(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chance seldom strikes a table of one page, and never one that the log has as well."""
    monkeypatch.setattr(salvage, "FAILURES_MOST", IN_VAIN)
    with memory_folder("damaged") as folder:
        patient = Patient(folder, backup=True, stopped=True)
        for table in TABLES:
            home = copy_of(patient.home, folder / table)
            flip(home.database, (max(patient.truth.trees[table]) - 1) * PAGE + 90, 3)
            assert check_the_repair(home, patient.judged(home, STORE, table), patient.backup) == "repaired"
            shutil.rmtree(home.path)
    record("P9", f"{len(TABLES)} stores without a page of one table, beside a backup: 0 wrong", damaged=len(TABLES))


HARMLESS = {"samples": {"samples"}, "clearing": {"durations"}}
"""What is different without the last commit, where nobody was told that it is done."""


@pytest.mark.parametrize("ending", ENDINGS)
def test_p09_what_somebody_was_told_is_done_is_missed_though_it_is_the_last_of_a_log(ending: str) -> None:
    with memory_folder("damaged") as folder:
        patient = Patient(folder, backup=False, last=ending)
        before, end = patient.commits[-2].end, patient.commits[-1].end
        for place, harm in (
            ("cut before", partial(os.truncate, length=before)),
            ("flip in", partial(flip, offset=end - PAGE)),
        ):
            home = copy_of(patient.home, folder / place)
            harm(home.path / LOG)
            damage = patient.judged(home, LOG, place)
            assert damage.whole is patient.after(len(patient.commits) - 1)
            check_the_end(home, patient, damage, ending)
            shutil.rmtree(home.path)
        record("P9", f"a log without its last commit, a {ending}: 0 silent wrong states", damaged=2)


def check_the_end(home: Home, patient: Patient, damage: Damage, ending: str) -> None:
    truth, left = patient.truth.rows, damage.whole.rows
    lost = {table for table, rows in truth.items() if rows != left[table]}
    if ending not in HARMLESS:
        assert check_what_is_seen(home, truth)
        assert check_the_repair(home, damage, {}) == "repaired"
        return
    assert lost == HARMLESS[ending]
    assert not check_what_is_seen(home, truth if ending == "clearing" else left)  # a start clears again


@pytest.mark.parametrize("place", ["header", "journal", "tasks_by_state", "log"])
def test_p09_who_starts_an_engine_on_a_damaged_home_is_told_and_none_comes_up(tmp_path: Path, place: str) -> None:
    patient = Patient(tmp_path, backup=False, stopped=place != "log")
    if place == "log":
        os.truncate(patient.home.path / LOG, 15_000)
    else:
        page = 1 if place == "header" else max(patient.truth.trees[place])
        flip(patient.home.database, (page - 1) * PAGE + 90, 3)
    before = files_of(patient.home)
    assert is_said(passloop(patient.home, *(["submit", "--", "true"] if place == "log" else ["up"])))
    assert not patient.home.socket.exists()
    assert files_of(patient.home) == before


@pytest.mark.parametrize("cut", [4, 100, 4_000, 4_096, 9_000])
@pytest.mark.parametrize("stopped", [False, True])
def test_p09_a_store_that_lacks_the_end_of_a_long_row_is_damaged(tmp_path: Path, stopped: bool, cut: int) -> None:
    """SQLite takes what is behind the end of a file for zeros, of which no checksum is verified."""
    home = Home(tmp_path / "living")
    home.prepare()
    store = Store.open(home)
    store.commit(a_submission(1, payload=f'{{"name": "{"x" * 10_000}"}}'))
    store._writer.pragma("wal_checkpoint", "TRUNCATE")
    if not stopped:
        store.commit(a_submission(1, run=2, first=2))
    found = copy_of(home, tmp_path / "home")
    store.close()
    if stopped:
        found = home
    os.truncate(found.database, found.database.stat().st_size - cut)
    assert is_said(passloop(found, "show", "1"))
    assert is_said(passloop(found, "doctor"))
    check_nobody_starts(found)
    report = repair(found)
    store = Store.open(found)
    assert "payloads" in report.unread
    assert (report.held, store.payloads_of([1])) == ((1,), {1: "{}"})
    store.close()


@pytest.mark.large
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("kind", KINDS)
def test_p09_a_store_damaged_in_350_ways_is_noticed_and_repaired(kind: str) -> None:
    with memory_folder("damaged") as folder:
        damage_again_and_again(folder, times=350, seed=100 + len(kind), **KINDS[kind])


def an_ended_attempt(folder: Path) -> LiveAttempt:
    """An attempt that failed with 4 while there was no engine; its shim is gone."""
    live = live_of(order_for(folder, 1, []))
    ended = {"kind": "failure", "exit_code": 4, "signal": None, "message": "exit code 4", "stop": None, "stray": False}
    leave_records(live, ended=ended, pid=2**22 - 1, ticks=1)
    found = look(live.directory, live.name).outcome
    assert found is not None
    assert (found.kind, found.exit_code) == (OutcomeKind.FAILURE, 4)
    return live


def damaged_records(text: bytes, times: int, choice: Random) -> Iterator[bytes]:
    for _ in range(times):
        at = choice.randrange(len(text))
        yield text[:at] + bytes([text[at] ^ 1 << choice.randrange(8)]) + text[at + 1 :]
        yield text[:at]


@pytest.mark.parametrize("name", ["exit.json", "start.json"])
def test_p09_a_damaged_record_of_an_attempt_is_no_word_of_how_it_ended(tmp_path: Path, name: str) -> None:
    live = an_ended_attempt(tmp_path)
    path = live.directory / name
    text = path.read_bytes()
    ways = list(damaged_records(text, 100, Random(name)))
    for damaged in ways:
        path.write_bytes(damaged)
        found = look(live.directory, live.name)
        assert found.outcome is not None
        if name == "exit.json":
            assert found.outcome.kind is OutcomeKind.LOST, damaged
        else:
            assert (found.process, found.outcome.kind) == (None, OutcomeKind.FAILURE)
    record("P9", f"{len(ways)} flips and cuts of {name}: 0 taken for the truth", damaged_records=len(ways))


@pytest.mark.parametrize("text", ["", "{", "[1]", "null", '{"pid": "x"}', '{"name": 5}', '{"name": "%s", "kind": "x"}'])
@pytest.mark.parametrize("name", ["start.json", "exit.json"])
async def test_p09_a_record_of_something_else_is_a_lost_attempt_not_a_crash(
    tmp_path: Path, name: str, text: str
) -> None:
    async with Stage(tmp_path) as stage:
        live = live_of(order_for(tmp_path, 1, []))
        leave_records(live, pid=2**22 - 1, ticks=1)
        (live.directory / name).write_text(text.replace("%s", live.name))
        await stage.driver.reattach([live])
        assert (await stage.ended()).outcome.kind is OutcomeKind.LOST


def test_p09_damaged_output_of_a_task_is_shown_as_far_as_it_goes(tmp_path: Path) -> None:
    choice = Random(9)
    home, _ = killed_home(tmp_path)
    folder = home.runs / "1" / "1" / "1"
    folder.mkdir(parents=True)
    log = folder / "stdout.log"
    for _ in range(20):
        log.write_text(OUTPUT)
        flip(log, choice.randrange(log.stat().st_size), choice.randrange(8))
        whole = passloop(home, "logs", "1")
        assert whole.code == 0
        assert len(whole.out) > len(OUTPUT) - 10
        assert "\x1b" not in whole.out
        os.truncate(log, choice.randrange(log.stat().st_size))
        assert passloop(home, "logs", "1").code == 0
