"""Kill -9 of the engine while calls run on warm workers: what began is adopted and seen to its end, what had not is
given again, and no call runs twice or beside itself.
"""

from __future__ import annotations

import os
import select
from pathlib import Path
from random import Random

import pytest

from tests.support.killing import SECONDS, Field, Nursery
from tests.support.warm import ROOT, call_of

KILLS = 6
BETWEEN = 6
"""How many calls begin at least in each engine's life, before it is killed."""

CALLS = 160
MILLIS = (0, 5, 15, 40)
KEYS = 2


def submit(field: Field, choice: Random) -> list[int]:
    """Calls on warm workers, of two keys, that record themselves."""
    ids: list[int] = []
    for key in range(KEYS):
        calls = [call_of("record", str(field.folder), choice.choice(MILLIS)) for _ in range(CALLS // KEYS)]
        tasks = [{"command": ["record"], "call": call} for call in calls]
        ids += field.submit_tasks(tasks, gpus=0, cwd=str(ROOT), spec={"warm_key": f"key-{key}"})
    return ids


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


@pytest.mark.timeout(120)
def test_calls_on_warm_workers_survive_kills_of_the_engine_and_run_once(tmp_path: Path) -> None:
    choice = Random(7)
    with Field.on(tmp_path, cpus="2") as field, Nursery() as nursery:
        ids: list[int] = []
        for _ in range(KILLS):
            engine = nursery.engine(field.home.path, field.environ)
            assert engine.wait_ready()
            ids = ids or submit(field, choice)
            begun = sum(line.what == "start" for line in field.lines())
            field.wait_lines("start", begun + BETWEEN)
            engine.live_on(choice.uniform(0, 0.02))
            engine.kill()
        assert field.open_tasks(), "all was over before the last kill"
        last = nursery.engine(field.home.path, field.environ)
        assert last.wait_ready()
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
