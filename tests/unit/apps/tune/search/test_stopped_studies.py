"""A study that was stopped in the middle: what was measured stands, and the same spec goes on with the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from passloop.apps.tune.records import Document
from passloop.engine.retrying import retry
from passloop.kernel.events import Cancelled
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import Outcome, OutcomeKind
from tests.support.trial_documents import point
from tests.support.tuned import Tuned, order_of
from tests.unit.apps.tune.search.by_hand import by_batch, tuning


async def cancel(made: Tuned) -> None:
    """Cancel the run with all that runs of it, and wait for its end."""
    live = tuple(TaskId(trial.task) for trial in made.trials() if not trial.is_final)
    await made.rig.engine.send(Cancelled(tasks=live, sources=(made.run,)))
    await made.rig.engine.wait_source(made.run)
    await made.rig.heard()


async def test_a_study_that_was_cancelled_goes_on_with_what_it_had_not_measured(tmp_path: Path) -> None:
    async with tuning(tmp_path, same_failures=0) as made:
        for number in range(3):
            await made.rig.until(lambda number=number: number in made.live)
            made.end(number, by_batch(order_of(made.live[number])))
        await made.rig.until(lambda: made.live.keys() == {3, 4})
        await cancel(made)
        assert made.standing().counts == {"complete": 3, "cancelled": 2}
        assert (made.standing().stop, made.standing().exit_code) == ("cancelled", 1)
        await made.declare()
        await made.to_the_end(by_batch)
        assert [order.trial for order in made.asked] == list(range(12))
        assert made.standing().counts == {"complete": 12}
        assert (made.standing().stop, made.standing().exit_code) == ("max_trials: 12 trials", 0)


def leave(made: Tuned, number: int, value: float) -> None:
    """Let a running trial leave what it measured, as it does once its server is gone, and not end yet."""
    launch = made.live[number]
    order = order_of(launch)
    points = tuple(point(name, output_tokens_per_second=value) for name in ("concurrency=1", "concurrency=4"))
    told: dict[str, Any] = {"trial": order.trial, "params": order.params, "hash": order.hash, "argv": order.engine.argv}
    document = Document(**told, state="complete", points=points)
    (launch.directory / "out").mkdir(parents=True, exist_ok=True)
    (launch.directory / "out" / "metrics.json").write_bytes(msgspec.json.encode(document))


@pytest.mark.parametrize("way", ["cancelled", "killed"])
async def test_what_was_measured_before_its_trial_was_stopped_stands_and_is_not_measured_again(
    tmp_path: Path, way: str
) -> None:
    async with tuning(tmp_path, same_failures=0) as made:
        await made.until_live(2)
        leave(made, 0, 1_000.0)
        if way == "killed":
            made.rig.driver.finish(made.live[0].attempt, Outcome(OutcomeKind.FAILURE, signal=9))
            await made.rig.heard()
        await cancel(made)
        found = made.standing()
        assert found.best is not None
        assert (found.best.number, found.best.state, found.best.failure) == (0, "complete", None)
        await made.declare()
        await made.to_the_end(lambda order: None if order.trial == 0 else by_batch(order))
        assert 0 not in [order.trial for order in made.asked]
        assert made.standing().best is not None
        assert made.standing().exit_code == 0


async def test_the_best_stays_the_best_though_its_repeat_fails(tmp_path: Path) -> None:
    async with tuning(tmp_path, same_failures=0) as made:
        await made.until_live(2)
        leave(made, 0, 1_000.0)
        made.rig.driver.finish(made.live[0].attempt, Outcome(OutcomeKind.FAILURE, signal=9))
        await made.rig.heard()
        await cancel(made)
        first = made.trials()[0]
        await retry(made.rig.engine, [TaskId(first.task)])
        await made.rig.until(lambda: 0 in made.live)
        assert made.trials()[0].state == "running"
        made.end(0, None)
        await made.rig.heard()
        best = made.standing().best
        assert best is not None
        assert (best.number, best.task, best.failure) == (0, first.task, None)
        assert best.document == first.document
