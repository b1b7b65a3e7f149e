"""P4, its part in crashes: no device was held twice and all are free again, in the run of kills of P1.

The machine's own laws are in `properties/test_machine_laws.py`, two homes on one box in `unit/devices/test_locks.py`.
"""

from __future__ import annotations

import pytest

from tests.support.kill_runs import KillRuns, Remains
from tests.support.promises import record


def judge(runs: list[Remains], kills: int) -> None:
    for run in runs:
        run.assert_p04_no_device_was_held_twice()
        assert all(gpu["state"] == "available" and gpu["free_mib"] == gpu["vram_mib"] for gpu in run.gpus)
        assert not any(gpu["holders"] or gpu["strays"] for gpu in run.gpus)
    holders = sum(len(line.gpus) for run in runs for line in run.lines() if line.what == "start")
    record("P4", f"{kills} kills, {holders} devices given out, 0 held twice", kills=kills, given=holders, twice=0)


@pytest.mark.timeout(300)
def test_p04_two_hundred_kills_give_no_device_out_twice(kill_runs: KillRuns) -> None:
    judge(kill_runs.all(kills=50, seeds=range(4)), 200)


@pytest.mark.large
@pytest.mark.timeout(3_600)
def test_p04_a_thousand_kills_give_no_device_out_twice(kill_runs: KillRuns) -> None:
    judge(kill_runs.all(kills=100, seeds=range(10, 20)), 1_000)
