"""Kill -9 of the engine while calls run on warm workers: what began is adopted and seen to its end, what had not is
given again, and no call runs twice or beside itself.
"""

from __future__ import annotations

import os
import select
from pathlib import Path
from random import Random

import pytest

from tests.support.evidence import Line
from tests.support.killing import SECONDS, Field, Nursery
from tests.support.promises import record
from tests.support.warm import ROOT, call_of

KILLS = 6
BETWEEN = 6
"""How many calls begin in each engine's life before it is killed, while there are any."""

CALLS = 40
"""How many quick calls there are for each kill."""

MILLIS = (0, 5, 15, 40)
KEYS = 2


def submit(field: Field, choice: Random, kills: int) -> tuple[set[int], list[int]]:
    """Calls on warm workers that record themselves: those that wait at the gate, one at a time, and quick ones of two
    keys beside it.
    """
    gate = [{"command": ["record"], "call": call_of("record", str(field.folder), "gate")}] * kills
    alone = {"warm_key": "gate", "request": [{"amounts": {"cpu": 3_000}}]}
    waits = set(field.submit_tasks(gate, gpus=0, cwd=str(ROOT), spec=alone, priority=5))
    quick: list[int] = []
    for key in range(KEYS):
        calls = [call_of("record", str(field.folder), choice.choice(MILLIS)) for _ in range(CALLS * kills // KEYS)]
        tasks = [{"command": ["record"], "call": call} for call in calls]
        quick += field.submit_tasks(tasks, gpus=0, cwd=str(ROOT), spec={"warm_key": f"key-{key}"})
    return waits, quick


def wait_gone(pid: int) -> None:
    """Until a process has ended."""
    try:
        process = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([process], [], [], SECONDS)[0], f"{pid} lives on"
    finally:
        os.close(process)


def wait_begun(field: Field, waits: set[int], count: int) -> None:
    """Until so many of those that wait at the gate have begun."""
    begun: list[Line] = []
    while sum(line.task in waits for line in begun) < count:
        begun = field.wait_lines("start", len(begun) + 1)


def kills_run_no_call_twice(folder: Path, choice: Random, *, kills: int) -> None:
    """Kill so many engines while calls run, one of which goes on until the next engine is there; the last engine brings
    all to its end.
    """
    with Field.on(folder, cpus="5") as field, Nursery() as nursery:
        ids: list[int] = []
        for kill in range(kills):
            engine = nursery.engine(field.home.path, field.environ)
            assert engine.wait_ready()
            if kill:
                field.open_gate()
            else:
                waits, quick = submit(field, choice, kills)
                ids = [*waits, *quick]
            wait_begun(field, waits, kill + 1)
            begun = sum(line.what == "start" for line in field.lines())
            field.wait_lines("start", min(begun + BETWEEN, len(quick) + kill + 1))
            engine.live_on(choice.uniform(0, 0.02))
            engine.kill()
        last = nursery.engine(field.home.path, field.environ)
        assert last.wait_ready()
        field.open_gate()
        field.wait_final(ids)
        for pid in {line.pid for line in field.lines()}:
            wait_gone(pid)
        assert {str(row.state) for row, _ in field.ledger().values()} == {"succeeded"}
        field.assert_p01_nothing_acknowledged_is_lost(dict.fromkeys(ids))
        field.assert_p02_no_committed_attempt_runs_again()
        field.assert_p03_at_most_one_live_attempt_per_task()
        field.assert_p05_what_ran_was_seen_to_its_end()
        last.kill()
        field.assert_whole_and_nobody_lives()
    words = f"{kills} kills beside warm workers, {len(ids)} calls"
    record("P2", f"{words}, 0 ran twice", warm_kills=kills, calls=len(ids), repeated=0)
    record("P3", f"{words}, 0 overlaps", warm_kills=kills, calls=len(ids), overlaps=0)
    record("P5", f"{words}, 0 taken for lost", warm_kills=kills, calls=len(ids), lost=0)


@pytest.mark.timeout(120)
def test_calls_on_warm_workers_survive_kills_of_the_engine_and_run_once(tmp_path: Path) -> None:
    kills_run_no_call_twice(tmp_path, Random(7), kills=KILLS)


@pytest.mark.large
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", range(4))
def test_calls_on_warm_workers_survive_a_hundred_kills_of_the_engine(tmp_path: Path, part: int) -> None:
    kills_run_no_call_twice(tmp_path, Random(part), kills=25)
