"""P3: no two attempts of a task were alive at once, in the run of kills that P1 is judged by."""

from __future__ import annotations

import pytest

from tests.support.kill_runs import KillRuns, Remains
from tests.support.promises import record


def judge(runs: list[Remains]) -> None:
    kills = sum(run.kills for run in runs)
    for run in runs:
        run.assert_p03_at_most_one_live_attempt_per_task()
    attempts = sum(line.what == "start" for run in runs for line in run.lines())
    record("P3", f"{kills} kills, {attempts} attempts, 0 overlaps", kills=kills, attempts=attempts, overlaps=0)


@pytest.mark.timeout(300)
def test_p03_two_hundred_kills_leave_one_live_attempt_per_task(kill_runs: KillRuns) -> None:
    judge(kill_runs.all(kills=50, seeds=range(4)))


@pytest.mark.large
@pytest.mark.timeout(3_600)
def test_p03_a_thousand_kills_leave_one_live_attempt_per_task(kill_runs: KillRuns) -> None:
    judge(kill_runs.all(kills=100, seeds=range(10, 20)))
