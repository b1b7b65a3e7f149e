"""P9: a store, log, journal or record that is not as it was written is noticed, never taken for empty or for the truth.

Bits are flipped and files cut at random offsets; then people look, ask the doctor, and let it repair. Commands run in
this process: hundreds of them would not fit into CI otherwise, and each says what it would say to a person.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest

from passloop.cli.exits import Exit
from passloop.cli.main import main
from passloop.drivers.base import LiveAttempt
from passloop.drivers.processes.reattach import look
from passloop.kernel.tasks import OutcomeKind
from passloop.store.errors import StoreDamaged
from passloop.store.home import Home
from passloop.store.repair import RepairReport, repair
from tests.support.attempts import Stage, live_of, order_for
from tests.support.damage import PAGE, TASKS, copy_of, flip, journal_pages, killed_home, leave_records, states_of
from tests.support.promises import record

STORE, LOG, JOURNAL, INDEX, MARK = "store.sqlite", "store.sqlite-wal", "journal", "store.sqlite-shm", "mark"
TARGETS = (STORE, STORE, LOG, LOG, JOURNAL, INDEX, MARK)
STARTS = {"ready", "waiting", "backoff"}
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


class Patient:
    """A home with everything in it, of which copies are damaged, and what is true of it."""

    def __init__(self, folder: Path, *, backup: bool) -> None:
        self.home, _ = killed_home(folder, backup=backup)
        self.truth = states_of(copy_of(self.home, folder / "whole"))
        self.journal = journal_pages(copy_of(self.home, folder / "journal"))
        assert len(self.truth) == TASKS
        assert self.journal

    def damaged(self, path: Path, choice: Random) -> tuple[Home, str]:
        """A copy with one bit flipped or one file cut, and which."""
        home = copy_of(self.home, path)
        target = choice.choice(TARGETS)
        file = home.path / (STORE if target == JOURNAL else target)
        if target == JOURNAL:
            flip(file, (choice.choice(self.journal) - 1) * PAGE + choice.randrange(PAGE), choice.randrange(8))
        elif choice.random() < 0.7:
            flip(file, choice.randrange(file.stat().st_size), choice.randrange(8))
        else:
            os.truncate(file, choice.choice([0, choice.randrange(file.stat().st_size)]))
        return home, target


def is_true(said: Said, truth: dict[int, str]) -> bool:
    return said.code == 0 and {task["id"]: task["state"] for task in json.loads(said.out)["tasks"]} == truth


def is_said(said: Said) -> bool:
    return said.code == Exit.STORE_DAMAGED and "passloop doctor --repair" in said.out + said.err


def check_what_is_seen(home: Home, truth: dict[int, str]) -> bool:
    """Whether the doctor finds damage. Who only looks is told of it, or sees the truth."""
    seen = passloop(home, "ls", "--json", "--limit", str(2 * TASKS))
    assert is_said(seen) or is_true(seen, truth), seen
    doctor = passloop(home, "doctor")
    assert is_said(doctor) or doctor.code == 0, doctor
    assert is_said(doctor) or is_true(seen, truth)
    return doctor.code != 0


def check_the_repair(home: Home, truth: dict[int, str], *, backup: bool) -> str:
    """A repair brings back what can be read, says what is gone, and lets nothing start that may have run."""
    try:
        report = repair(home)
    except StoreDamaged as error:
        hopeless = str(error)
    else:
        hopeless = ""
    if hopeless:
        assert not backup
        assert "nothing in it could be read and there is no backup" in hopeless
        assert "Bring back a copy" in hopeless
        return "hopeless"
    assert passloop(home, "doctor").code == 0
    check_what_is_left(report, states_of(home), truth)
    return "repaired"


def check_what_is_left(report: RepairReport, found: dict[int, str], truth: dict[int, str]) -> None:
    told = {task for first, last in report.missing for task in range(first, last + 1)} | set(report.held)
    for task, state in truth.items():
        as_it_was = found.get(task) == state
        assert as_it_was or task in told or report.lost_batches, (task, state, report)
    assert set(found) <= set(truth), "a task came out of nothing"
    assert not report.lost_batches or not STARTS & set(found.values()), "what may have run can start again"
    assert not [task for task, state in found.items() if state in STARTS and truth[task] not in STARTS]
    assert any("gone" in line or "held" in line or "could not be read" in line for line in report.sentences()) or (
        found == truth
    )


def damage_again_and_again(folder: Path, *, times: int, seed: int, backup: bool) -> Counter[str]:
    choice = Random(seed)
    patient = Patient(folder, backup=backup)
    seen: Counter[str] = Counter()
    for number in range(times):
        home, target = patient.damaged(folder / str(number), choice)
        noticed = check_what_is_seen(home, patient.truth)
        seen["noticed" if noticed else "harmless"] += 1
        assert not noticed or target != INDEX
        if noticed:
            seen[check_the_repair(home, patient.truth, backup=backup)] += 1
        shutil.rmtree(home.path)
    assert seen["repaired"] > times // 4
    figure = f"{times} flips and cuts of store, log, journal: 0 silent wrong states, 0 tracebacks, exit 4, repaired"
    record("P9", figure, damaged=seen["noticed"] + seen["harmless"], **seen)
    return seen


@pytest.mark.no_cover
@pytest.mark.parametrize("backup", [True, False])
def test_p09_a_damaged_store_is_noticed_and_repaired(tmp_path: Path, backup: bool) -> None:
    damage_again_and_again(tmp_path, times=100, seed=int(backup), backup=backup)


@pytest.mark.parametrize(("target", "words"), [(STORE, ["up"]), (LOG, ["submit", "--", "true"])])
def test_p09_who_starts_an_engine_on_a_damaged_home_is_told_and_none_comes_up(
    tmp_path: Path, target: str, words: list[str]
) -> None:
    """What is damaged stays as it was found: a repair must see all that is left, of the log too."""
    home, _ = killed_home(tmp_path)
    os.truncate(home.path / target, 15_000)
    before = [(home.path / name).read_bytes() for name in (STORE, LOG)]
    assert is_said(passloop(home, *words))
    assert not home.socket.exists()
    assert [(home.path / name).read_bytes() for name in (STORE, LOG)] == before


@pytest.mark.large
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("backup", [True, False])
def test_p09_a_store_damaged_in_500_ways_is_noticed_and_repaired(tmp_path: Path, backup: bool) -> None:
    damage_again_and_again(tmp_path, times=500, seed=10 + int(backup), backup=backup)


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
