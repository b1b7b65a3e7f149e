"""Keys and dependencies that the machine no longer holds are looked up in the store, right before the turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from passloop.engine.errors import Refused
from passloop.engine.removal import remove
from passloop.kernel.events import Exited, StrayGone, Submitted
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import Dependency, NewTask, Outcome, OutcomeKind, RetryBudgets, TaskState
from passloop.store.reader import Reader
from tests.support.builders import ask, spec_of
from tests.support.engines import Rig, commands, one_cpu, rig


def keyed(*keys: str) -> Submitted:
    return Submitted(name="keyed", tasks=tuple(NewTask(spec=one_cpu(), key=key) for key in keys))


def after(task: int, *, any_end: bool = False) -> Submitted:
    return Submitted(name="late", tasks=(NewTask(spec=one_cpu(), after=(Dependency(task, any_end=any_end),)),))


async def test_the_same_key_returns_the_live_task(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        first = await one.engine.submit(keyed("a", "b"))
        again = await one.engine.submit(keyed("b", "c"))
        assert (first.tasks, again.tasks, again.existing) == ((1, 2), (2, 3), (2,))


async def test_the_same_key_returns_a_task_that_succeeded_before_the_restart(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    await one.open().start()
    await one.engine.submit(keyed("a"))
    one.driver.finish_task(1)
    await one.engine.wait_final([TaskId(1)])
    await one.kill()
    await one.open().start()
    again = await one.engine.submit(keyed("a"))
    assert (again.tasks, again.existing) == ((1,), (1,))
    await one.close()


async def test_the_same_key_tries_a_failed_task_again(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(keyed("a"))
        one.driver.finish_task(1, Outcome(kind=OutcomeKind.FAILURE, exit_code=1))
        await one.engine.wait_final([TaskId(1)])
        again = await one.engine.submit(keyed("a"))
        assert (again.tasks, again.existing) == ((2,), ())


async def test_two_submissions_of_one_key_in_one_batch_make_one_task(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        both = await asyncio.gather(one.engine.submit(keyed("a")), one.engine.submit(keyed("a")))
        assert [answer.tasks for answer in both] == [(1,), (1,)]


async def test_a_dependency_that_ended_long_ago_counts_by_how_it_ended(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(commands(2))
        one.driver.finish_task(1)
        one.driver.finish_task(2, Outcome(kind=OutcomeKind.FAILURE, exit_code=1))
        await one.engine.wait_final([TaskId(1), TaskId(2)])
        await one.heard()
        for submitted in (after(1), after(2), after(2, any_end=True)):
            await one.engine.submit(submitted)
        await one.heard()
        states = one.store.states_of([3, 4, 5])
        assert states == {3: TaskState.RUNNING, 4: TaskState.ABORTED, 5: TaskState.RUNNING}


async def test_a_dependency_that_never_was_refuses_the_submission(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        with pytest.raises(Refused) as refused:
            await one.engine.submit(after(77))
        assert refused.value.exit_code == 3
        assert one.store.states_of([1]) == {}


async def test_what_can_never_fit_is_refused_with_exit_code_7(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        huge = Submitted(name="huge", tasks=(NewTask(spec=spec_of(ask(cpus=64))),))
        with pytest.raises(Refused) as refused:
            await one.engine.submit(huge)
        assert refused.value.exit_code == 7


async def test_a_metrics_file_becomes_the_tasks_results(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(commands(1))
        out = one.outside.live[one.outside.attempt_of(1)].directory / "out"
        out.mkdir(parents=True)
        (out / "metrics.json").write_text('{"accuracy": 0.93}')
        one.driver.finish_task(1)
        await one.engine.wait_final([TaskId(1)])
        view = await one.engine.read(lambda reader: reader.task(1))
        assert view is not None
        assert view.results == '{"accuracy": 0.93}'


async def test_an_attempt_that_leaves_no_metrics_does_not_keep_those_of_the_one_before(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(commands(1, spec=one_cpu(retries=RetryBudgets(failure=1))))
        out = one.outside.live[one.outside.attempt_of(1)].directory / "out"
        out.mkdir(parents=True)
        (out / "metrics.json").write_text('{"accuracy": 0.5}')
        one.driver.finish_task(1, Outcome(kind=OutcomeKind.FAILURE, exit_code=1))
        await one.heard()
        assert one.store.results_of([1]) == {1: '{"accuracy": 0.5}'}
        assert one.alarm.at is not None
        one.alarm.advance(one.alarm.at - one.clock.now())
        await one.until(lambda: len(one.driver.calls) == 2)
        one.driver.finish_task(1)
        await one.engine.wait_final([TaskId(1)])
        assert one.store.results_of([1]) == {}


async def test_results_stay_when_what_was_left_of_a_later_attempt_is_gone(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(commands(1, spec=one_cpu(retries=RetryBudgets(failure=1))))
        one.driver.finish_task(1, Outcome(kind=OutcomeKind.FAILURE, exit_code=1))
        await one.heard()
        assert one.alarm.at is not None
        one.alarm.advance(one.alarm.at - one.clock.now())
        await one.until(lambda: len(one.driver.calls) == 2)
        second = one.outside.attempt_of(1)
        out = one.outside.live[second].directory / "out"
        out.mkdir(parents=True)
        (out / "metrics.json").write_text('{"accuracy": 0.93}')
        one.engine.report(Exited(second, 2, Outcome(OutcomeKind.SUCCESS, exit_code=0), stray=True))
        await one.engine.wait_final([TaskId(1)])
        one.engine.report(StrayGone(second, 2))
        await one.heard()
        assert one.store.results_of([1]) == {1: '{"accuracy": 0.93}'}


async def test_a_task_may_come_after_one_of_its_submission_that_a_key_had_already_made(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(keyed("a"))
        one.driver.finish_task(1)
        await one.engine.wait_final([TaskId(1)])
        await one.heard()
        second = NewTask(spec=one_cpu(), after=(Dependency(-1),))
        answer = await one.engine.submit(Submitted(name="", tasks=(NewTask(spec=one_cpu(), key="a"), second)))
        assert answer.tasks == (1, 2)
        await one.heard()
        assert one.store.states_of([2]) == {2: TaskState.RUNNING}


async def over(one: Rig, *tasks: int) -> None:
    for task in tasks:
        one.driver.finish_task(task)
    await one.engine.wait_final([TaskId(task) for task in tasks])
    await one.heard()


async def test_a_run_that_was_removed_gets_no_task(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        more = replace(commands(1), run=(await one.engine.submit(commands(1))).run)
        assert (await one.engine.submit(more)).tasks == (2,)
        await over(one, 1, 2)
        await remove(one.engine, [TaskId(1), TaskId(2)])
        with pytest.raises(Refused, match="there is no run 1 to add to"):
            await one.engine.submit(more)
        assert one.store.states_of([3]) == {}


async def test_a_run_is_not_removed_between_the_look_at_it_and_the_commit_that_adds_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig(tmp_path) as one:
        run = (await one.engine.submit(commands(1))).run
        await over(one, 1)
        read, commit, has_read = one.engine.read, one.engine.writer.commit, asyncio.Event()
        removing: list[asyncio.Task[Any]] = []

        async def reading(ask: Callable[[Reader], Any]) -> Any:
            found = await read(ask)
            has_read.set()  # whoever removes goes on from here as far as it may, before anybody else does
            return found

        async def committing(*batch: Any) -> Any:
            if not removing:
                removing.append(asyncio.create_task(remove(one.engine, [TaskId(1)])))
                await has_read.wait()
            return await commit(*batch)

        monkeypatch.setattr(one.engine, "read", reading)
        monkeypatch.setattr(one.engine.writer, "commit", committing)
        await one.engine.submit(replace(commands(1), run=run))
        assert (await removing[0]).changed == (1,)
        assert await read(lambda reader: reader.run(str(run))) is not None
