"""P1: what the engine acknowledged is in the store, once, whenever it was killed with -9 while clients submitted."""

from __future__ import annotations

import pytest

from passloop.kernel.tasks import TaskState
from tests.support.kill_runs import KillRuns, Remains
from tests.support.promises import record


def judge(runs: list[Remains]) -> None:
    kills = sum(run.kills for run in runs)
    for run in runs:
        run.assert_p01_nothing_acknowledged_is_lost(run.acknowledged)
        states = {row.id: row.state for row, _ in run.ledger().values()}
        assert {states[task] for task in run.cancelled} <= {TaskState.CANCELLED}, "an acknowledged cancel is lost"
    submits = sum(len(run.acknowledged) for run in runs)
    cancels = sum(len(run.cancelled) for run in runs)
    figure = f"{kills} kills, {submits} tasks and {cancels} cancels acknowledged, 0 lost"
    record("P1", figure, kills=kills, acknowledged=submits, cancels=cancels, lost=0)


@pytest.mark.timeout(300)
def test_p01_two_hundred_kills_lose_no_acknowledged_submit(kill_runs: KillRuns) -> None:
    judge(kill_runs.all(kills=50, seeds=range(4)))


@pytest.mark.large
@pytest.mark.timeout(3_600)
def test_p01_a_thousand_kills_lose_no_acknowledged_submit(kill_runs: KillRuns) -> None:
    judge(kill_runs.all(kills=100, seeds=range(10, 20)))
