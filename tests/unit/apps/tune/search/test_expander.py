"""A study in a real engine and store: which trial comes when, what comes again, when it ends, what a death leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from passloop.devices.virtual import VirtualInventory
from passloop.engine.retrying import retry
from passloop.kernel.events import Cancelled, SourceRetried
from passloop.kernel.ids import TaskId
from passloop.kernel.source_rows import SourceState
from passloop.kernel.tasks import Outcome, OutcomeKind, TaskState
from tests.support.tuned import Tuned
from tests.unit.apps.tune.search.by_hand import by_batch, spec, tuning
from tests.unit.apps.tune.studies import GOOD, study


async def test_a_study_measures_each_point_once_and_names_the_best(tmp_path: Path) -> None:
    async with tuning(tmp_path) as made:
        await made.to_the_end(by_batch)
        assert [trial.params for trial in made.trials()] == list(made.study.space.grid())
        assert [trial.number for trial in made.trials()] == list(range(12))
        standing = made.standing()
        assert standing.best is not None
        assert standing.best.params == {"batch": 256, "slots": 4}
        assert (standing.stop, standing.exit_code) == ("max_trials: 12 trials", 0)


async def test_no_more_trials_run_at_once_than_max_parallel_and_no_unit_lies_ahead(tmp_path: Path) -> None:
    async with tuning(tmp_path, max_parallel=3) as made:
        await made.until_live(3)
        await made.rig.heard()
        assert (len(made.live), len(made.trials())) == (3, 3)
        made.end(1)
        await made.rig.until(lambda: 3 in made.live)
        assert sorted(made.live) == [0, 2, 3]


async def test_a_trial_is_asked_only_when_it_could_start(tmp_path: Path) -> None:
    made = Tuned(tmp_path, study({**spec(max_parallel=4), "resources": {"cpus": 2}}), cpus=4)
    await made.open()
    await made.declare()
    await made.until_live(2)
    await made.rig.heard()
    assert len(made.trials()) == 2
    await made.rig.close()


async def test_the_order_stands_in_the_task_with_the_parameters(tmp_path: Path) -> None:
    async with tuning(tmp_path, baseline={"batch": 128, "slots": 2}) as made:
        live = await made.until_live(2)
        (first, second) = (live[0].payload, live[1].payload)
        assert (first["params"], first["name"]) == ({"batch": 128, "slots": 2}, "trial 0")
        assert second["params"] != first["params"]
        assert made.trials()[0].params == {"batch": 128, "slots": 2}


async def test_a_killed_engine_leaves_trials_running_and_scores_where_they_belong(tmp_path: Path) -> None:
    async with tuning(tmp_path, sampler="random", max_trials=8, seed=5) as made:
        for _ in range(4):
            live = await made.until_live(2)
            before = {number: launch.payload["params"] for number, launch in live.items()}
            await made.rig.kill()
            await made.open()
            await made.rig.until(lambda before=before: made.live.keys() >= before.keys())
            assert {number: made.live[number].payload["params"] for number in before} == before
            for number in before:
                made.end(number, by_batch_of(made, number))
            await made.rig.heard()
        await made.to_the_end(by_batch)
        trials = made.trials()
        assert len({trial.hash for trial in trials}) == len(trials) == 8
        for trial in trials:
            assert trial.document is not None
            assert trial.document.params == trial.params
            measured = trial.document.points[0].metrics["output_tokens_per_second"]["mean"]
            assert measured == float(trial.params["batch"]) + float(trial.params["slots"])
        assert max(made.rig.outside.starts.values()) == 1


def by_batch_of(made: Tuned, number: int) -> float:
    params = made.live[number].payload["params"]
    return float(params["batch"]) + float(params["slots"])


async def test_results_of_other_parameters_are_not_taken(tmp_path: Path) -> None:
    async with tuning(tmp_path) as made:
        live = await made.until_live(2)
        out = live[0].directory / "out"
        out.mkdir(parents=True)
        made.end(1, 50.0)
        (out / "metrics.json").write_bytes((live[1].directory / "out" / "metrics.json").read_bytes())
        made.rig.driver.finish(live[0].attempt)
        await made.rig.heard()
        trial = made.trials()[0]
        assert (trial.state, trial.document) == ("failed", None)
        assert trial.failure is not None
        assert trial.failure.message.startswith("its results are of configuration")


async def test_the_same_spec_again_runs_only_what_failed(tmp_path: Path) -> None:
    async with tuning(tmp_path, same_failures=0) as made:
        await made.to_the_end(lambda order: None if order.trial in (3, 7) else by_batch(order))
        assert made.standing().counts == {"complete": 10, "failed": 2}
        first = len(made.asked)
        await made.declare()
        await made.to_the_end(by_batch)
        assert [order.trial for order in made.asked[first:]] == [3, 7]
        assert made.standing().counts == {"complete": 12}
        await made.declare()
        await made.to_the_end(by_batch)
        assert len(made.asked) == first + 2


async def test_memory_that_ran_out_does_not_come_again(tmp_path: Path) -> None:
    async with tuning(tmp_path) as made:
        await made.until_live(2)
        made.end(0, None, kind="out_of_memory", outcome=Outcome(OutcomeKind.OUT_OF_MEMORY, exit_code=1))
        await made.rig.heard()
        await made.to_the_end(by_batch)
        assert made.trials()[0].state == "failed"
        count = len(made.asked)
        await made.declare()
        await made.to_the_end(by_batch)
        assert len(made.asked) == count


async def test_a_trial_that_left_nothing_is_measured_again(tmp_path: Path) -> None:
    async with tuning(tmp_path) as made:
        live = await made.until_live(2)
        made.rig.driver.finish(live[0].attempt)
        await made.rig.heard()
        await made.to_the_end(by_batch)
        assert made.trials()[0].state == "failed"
        await made.declare()
        await made.to_the_end(by_batch)
        assert [trial.state for trial in made.trials()] == ["complete"] * 12


async def test_what_was_given_up_for_other_limits_is_measured_again(tmp_path: Path) -> None:
    async with tuning(tmp_path) as made:
        await made.until_live(2)
        made.end(0, 1.0, pruned=True)
        await made.to_the_end(by_batch)
        first = len(made.asked)
        await made.declare()
        await made.to_the_end(by_batch)
        assert len(made.asked) == first
        await made.declare(study({**spec(), "slo": [{"metric": "error_rate", "max": 0.5}]}))
        await made.to_the_end(by_batch)
        assert [order.trial for order in made.asked[first:]] == [0]


async def test_more_trials_go_on_where_the_study_stood_with_the_next_number(tmp_path: Path) -> None:
    async with tuning(tmp_path, sampler="random", max_trials=3) as made:
        await made.to_the_end(by_batch)
        await made.declare(study(spec(sampler="random", max_trials=5)))
        await made.to_the_end(by_batch)
        assert [trial.number for trial in made.trials()] == [0, 1, 2, 3, 4]
        assert {trial.run for trial in made.trials()} == {1, 2}


async def test_another_spaces_trials_of_the_same_server_are_not_counted(tmp_path: Path) -> None:
    async with tuning(tmp_path) as made:
        await made.to_the_end(by_batch)
        await made.declare(study({**spec(), "space": {**GOOD["space"], "slots": [8]}}))
        await made.to_the_end(by_batch)
        own = made.standing().trials
        assert [trial.params["slots"] for trial in own] == [8, 8, 8, 8]
        assert [trial.number for trial in own] == [12, 13, 14, 15]


async def test_patience_ends_the_search(tmp_path: Path) -> None:
    async with tuning(tmp_path, max_parallel=1, patience=3) as made:
        await made.to_the_end(lambda order: 100.0 - order.trial)
        assert len(made.trials()) == 4
        assert made.standing().stop == "patience: 3 trials without a gain"


async def test_equal_failures_in_a_row_pause_the_study_and_retry_goes_on(tmp_path: Path) -> None:
    async with tuning(tmp_path, max_parallel=1) as made:
        for number in range(3):
            await made.rig.until(lambda number=number: number in made.live)
            made.end(number, None, kind="bad_flag", message=f"unknown flag --turbo in line {number}")
        await made.rig.until(lambda: made.source().row.state is SourceState.FAILED)
        message = made.source().row.message
        assert "paused: 3 trials in a row failed the same way (bad_flag: unknown flag --turbo in line 2)" in message
        assert f"go on: passloop retry @{made.run}" in message
        assert made.standing().paused
        assert made.standing().exit_code == 1
        done = await retry(made.rig.engine, [TaskId(trial.task) for trial in made.trials()])
        await made.rig.engine.send(SourceRetried(made.run))
        assert len(done.created) == 3
        await made.to_the_end(by_batch)
        assert [trial.state for trial in made.trials()] == ["complete"] * 12


async def test_retried_trials_keep_to_max_parallel(tmp_path: Path) -> None:
    async with tuning(tmp_path, max_parallel=1, same_failures=3) as made:
        for number in range(3):
            await made.rig.until(lambda number=number: number in made.live)
            made.end(number, None)
        await made.rig.until(lambda: made.source().row.state is SourceState.FAILED)
        await retry(made.rig.engine, [TaskId(trial.task) for trial in made.trials()])
        await made.rig.engine.send(SourceRetried(made.run))
        await made.until_live(1)
        await made.rig.heard()
        assert len(made.live) == 1


async def test_a_cancelled_study_ends_what_runs_and_asks_for_nothing(tmp_path: Path) -> None:
    async with tuning(tmp_path) as made:
        await made.until_live(2)
        tasks = tuple(TaskId(trial.task) for trial in made.trials())
        await made.rig.engine.send(Cancelled(tasks=tasks, sources=(made.run,)))
        await made.rig.until(lambda: not made.rig.outside.live)
        assert await made.rig.engine.wait_source(made.run)
        assert [call for call, _ in made.rig.driver.calls if call.startswith("halt")] == ["halt cancelled"] * 2
        assert [trial.task_state for trial in made.trials()] == [TaskState.CANCELLED] * 2
        assert made.standing().stop == "cancelled"


async def test_each_trial_is_told_the_best_so_far(tmp_path: Path) -> None:
    async with tuning(tmp_path, max_parallel=1) as made:
        await made.to_the_end(lambda order: 100.0 - order.trial)
        assert [order.best for order in made.asked[:3]] == [None, 100.0, 100.0]


@pytest.mark.parametrize("first", [0, 1])
async def test_the_best_is_the_same_whichever_of_two_equal_trials_ends_first(tmp_path: Path, first: int) -> None:
    async with tuning(tmp_path, sampler="random", max_trials=2) as made:
        await made.until_live(2)
        made.end(first, 7.0)
        await made.rig.heard()
        await made.to_the_end(lambda _order: 7.0)
        best = made.standing().best
        assert best is not None
        assert best.number == 0


HOUR = 3_600_000


def on_gpus(folder: Path, **search: Any) -> Tuned:
    """A study whose trials have one of two GPUs each."""
    told = {**spec(**search), "resources": {"gpus": 1}}
    return Tuned(folder, study(told), inventory=VirtualInventory((80_000, 80_000)))


async def test_time_that_the_machine_slept_is_no_gpu_time_of_what_runs(tmp_path: Path) -> None:
    made = on_gpus(tmp_path, max_gpu_hours=2)
    await made.open()
    await made.declare()
    await made.until_live(2)
    made.rig.alarm.advance(HOUR // 4)
    made.rig.clock.set_wall(12 * HOUR)  # asleep: engine time stood still
    made.end(0)
    await made.until_live(2)
    assert sorted(made.live) == [1, 2]
    await made.rig.close()


async def test_gpu_time_of_a_trial_counts_every_attempt_of_its_task(tmp_path: Path) -> None:
    made = on_gpus(tmp_path, max_parallel=1)
    await made.open()
    await made.declare()
    await made.until_live(1)
    made.rig.alarm.advance(HOUR)
    made.end(0, None, outcome=Outcome(OutcomeKind.LOST, engine_lost=True))
    await made.rig.until(lambda: made.trials()[0].attempt == 2 and 0 in made.live)
    assert made.trials()[0].gpu_ms == HOUR
    made.rig.alarm.advance(HOUR // 2)
    made.end(0)
    await made.rig.until(lambda: 1 in made.live)
    assert made.trials()[0].gpu_ms == HOUR + HOUR // 2
    await made.rig.close()
