"""P2: each process that tasks tell of is one attempt of the ledger, in the run of kills that P1 is judged by."""

from __future__ import annotations

import pytest

from tests.support.kill_runs import KillRuns, Remains
from tests.support.promises import record


def judge(runs: list[Remains]) -> None:
    kills = sum(run.kills for run in runs)
    for run in runs:
        run.assert_p02_no_committed_attempt_runs_again()
    processes = sum(line.what == "start" for run in runs for line in run.lines())
    record(
        "P2", f"{kills} kills, {processes} attempts ran, 0 of them twice", kills=kills, attempts=processes, repeated=0
    )


@pytest.mark.timeout(300)
def test_p02_two_hundred_kills_repeat_no_committed_attempt(kill_runs: KillRuns) -> None:
    judge(kill_runs.all(kills=50, seeds=range(4)))


@pytest.mark.large
@pytest.mark.timeout(3_600)
def test_p02_a_thousand_kills_repeat_no_committed_attempt(kill_runs: KillRuns) -> None:
    judge(kill_runs.all(kills=100, seeds=range(10, 20)))
