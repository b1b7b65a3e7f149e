"""A user's retry: new tasks with the key, spec and dependencies of old ones, and the dependents they had aborted."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from passloop.engine.removal import remove
from passloop.engine.retrying import retry
from passloop.kernel.changes import SubmitAnswer
from passloop.kernel.events import Submitted
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import Dependency, NewTask, Outcome, OutcomeKind, TaskState
from tests.support.engines import Rig, commands, one_cpu, rig

FAILED = Outcome(kind=OutcomeKind.FAILURE, exit_code=1)


def chain(*links: tuple[Dependency, ...], keys: bool = False) -> Submitted:
    """Tasks of one run, each after what it names."""
    tasks = tuple(
        NewTask(spec=one_cpu(), index=i, after=after, key=f"k{i}" if keys else None, payload=f'{{"name":"t{i}"}}')
        for i, after in enumerate(links)
    )
    return Submitted(name="chain", tasks=tasks)


async def failed(one: Rig, task: int) -> None:
    one.driver.finish_task(task, FAILED)
    await one.engine.wait_final([TaskId(task)])
    await one.heard()


async def succeeded(one: Rig, task: int) -> None:
    one.driver.finish_task(task)
    await one.engine.wait_final([TaskId(task)])
    await one.heard()


async def test_a_retry_is_a_new_task_of_the_same_run_key_and_payload(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(chain((), keys=True))
        await failed(one, 1)
        done = await retry(one.engine, [TaskId(1)])
        assert (done.changed, done.created, done.unchanged) == ((1,), (2,), ())
        old = await one.engine.read(lambda reader: reader.task(1))
        new = await one.engine.read(lambda reader: reader.task(2))
        assert old is not None
        assert new is not None
        assert (old.row.state, old.row.retried_by) == (TaskState.FAILED, 2)
        assert (new.row.run, new.row.key, new.payload, new.spec, new.row.retry_of) == (
            old.row.run, "k0", old.payload, old.spec, 1,
        )  # fmt: skip


async def test_the_dependents_it_had_aborted_are_remade_and_wait_for_the_new_task(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(chain((), (Dependency(-1),), (Dependency(-2),), (Dependency(-1, any_end=True),)))
        await failed(one, 1)
        one.driver.finish_task(4)
        await one.engine.wait_final([TaskId(4)])
        assert one.store.states_of([2, 3]) == {2: TaskState.ABORTED, 3: TaskState.ABORTED}
        done = await retry(one.engine, [TaskId(1)])
        assert done.changed == (1, 2, 3)
        assert done.created == (5, 6, 7)
        after = {
            view.row.id: [need.task for need in view.after]
            for view in await one.engine.read(lambda reader: reader.tasks())
        }
        assert (after[6], after[7]) == ([5], [6])
        await one.heard()
        for task in (5, 6, 7):
            one.driver.finish_task(task)
            await one.engine.wait_final([TaskId(task)])
            await one.heard()
        assert set(one.store.states_of([5, 6, 7]).values()) == {TaskState.SUCCEEDED}


async def test_a_dependent_in_another_run_is_remade_in_its_own_run(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(chain(()))
        other = await one.engine.submit(chain((Dependency(1),)))
        await failed(one, 1)
        await retry(one.engine, [TaskId(1)])
        remade = await one.engine.read(lambda reader: reader.task(4))
        assert remade is not None
        assert (remade.row.run, remade.after) == (other.run, (Dependency(3),))


async def test_what_lives_succeeded_or_was_retried_is_left_alone_with_the_reason(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(commands(3))
        await failed(one, 1)
        one.driver.finish_task(2)
        await one.engine.wait_final([TaskId(2)])
        await retry(one.engine, [TaskId(1)])
        done = await retry(one.engine, [TaskId(1), TaskId(2), TaskId(3)])
        assert done.created == ()
        reasons = dict(done.unchanged)
        assert reasons[TaskId(1)] == "it was retried already, by task 4"
        assert reasons[TaskId(2)] == "it succeeded already"
        assert reasons[TaskId(3)] in {"it is running", "it is admitted"}


async def test_a_dependency_that_was_retried_is_followed_to_its_newest_task(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(chain(()))
        await failed(one, 1)
        await one.engine.submit(chain((Dependency(1),)))
        assert one.store.states_of([2]) == {2: TaskState.ABORTED}
        await one.engine.submit(commands(1))
        retried = await retry(one.engine, [TaskId(1)])
        assert retried.changed == (1, 2)
        await retry(one.engine, [TaskId(2)])
        view = await one.engine.read(lambda reader: reader.task(int(retried.created[1])))
        assert view is not None
        assert view.after == (Dependency(retried.created[0]),)


async def test_of_two_who_retry_a_task_at_once_one_is_told_that_the_other_did(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(chain(()))
        await failed(one, 1)
        done = await asyncio.gather(*(retry(one.engine, [TaskId(1)]) for _ in range(3)))
        assert [made.created for made in done] == [(2,), (), ()]
        assert done[2].unchanged == ((1, "it was retried already, by task 2"),)


async def test_a_dependent_is_remade_once_and_with_whom_it_was_aborted_for(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        either = (Dependency(-1, any_end=True), Dependency(-2))
        await one.engine.submit(chain((), (), either, (Dependency(-1), Dependency(-2))))
        await failed(one, 1)
        await failed(one, 2)
        assert one.store.states_of([3, 4]) == {3: TaskState.ABORTED, 4: TaskState.ABORTED}
        first = await retry(one.engine, [TaskId(1)])
        assert (first.changed, first.created) == ((1, 4), (5, 6))
        assert one.store.states_of([6]) == {6: TaskState.ABORTED}
        second = await retry(one.engine, [TaskId(2)])
        assert second.changed == (2, 3, 6)


async def test_a_task_whose_retry_was_removed_can_be_retried_again(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(chain(()))
        await failed(one, 1)
        await retry(one.engine, [TaskId(1)])
        await failed(one, 2)
        await remove(one.engine, [TaskId(2)])
        assert await retried_by(one, 1) is None
        assert (await retry(one.engine, [TaskId(1)])).created == (3,)
        assert await retried_by(one, 1) == 3


async def test_a_task_whose_retry_was_removed_was_retried_by_the_one_after_that(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(chain(()))
        for task in (1, 2, 3):
            await failed(one, task)
            await retry(one.engine, [TaskId(task)])
        await remove(one.engine, [TaskId(3), TaskId(2)])
        assert await retried_by(one, 1) == 4
        done = await retry(one.engine, [TaskId(1)])
        assert (done.created, done.unchanged) == ((), ((1, "it was retried already, by task 4"),))


async def test_a_dependent_comes_after_the_newest_retry_that_is_there(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(chain(()))
        await failed(one, 1)
        await one.engine.submit(chain((Dependency(1),)))
        await retry(one.engine, [TaskId(1)])
        await failed(one, 3)
        await remove(one.engine, [TaskId(3), TaskId(4)])
        [created] = (await retry(one.engine, [TaskId(2)])).created
        assert await after(one, created) == [1]


async def test_a_retry_that_a_repair_lost_is_none(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(chain((), (Dependency(-1),)))
        await failed(one, 1)
        lost = "UPDATE tasks SET retried_by = 77"
        await one.engine.writer.run(lambda store: store._writer.execute(lost))
        done = await retry(one.engine, [TaskId(2)])
        assert (done.created, [await after(one, task) for task in done.created]) == ((3,), [[1]])
        assert (await retry(one.engine, [TaskId(1)])).created == (4, 5)


async def test_what_began_is_retried_without_what_it_came_after_and_was_removed(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(chain((), (Dependency(-1),), (Dependency(-2), Dependency(-1))))
        await succeeded(one, 1)
        await failed(one, 2)
        await remove(one.engine, [TaskId(1)])
        done = await retry(one.engine, [TaskId(2)])
        assert (done.created, await after(one, 4)) == ((4,), [])
        assert done.unchanged == ((3, "task 1, which it comes after, is not there any more"),)


async def test_what_never_began_is_left_alone_once_what_it_needs_is_gone(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(chain((), (Dependency(-1),)))
        await failed(one, 1)
        await remove(one.engine, [TaskId(1)])
        done = await retry(one.engine, [TaskId(2)])
        assert (done.created, done.unchanged) == ((), ((2, "task 1, which it comes after, is not there any more"),))


async def test_a_retry_that_is_refused_keeps_back_only_what_comes_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(chain(()))
        await one.engine.submit(chain((), (Dependency(-1),)))
        await one.engine.submit(chain((Dependency(3, any_end=True),), ()))
        await failed(one, 1)
        await succeeded(one, 2)
        for task in (3, 4, 5):
            await failed(one, task)
        submit = one.engine.submit

        async def late(submitted: Submitted) -> SubmitAnswer:
            await remove(one.engine, [TaskId(2)])
            return await submit(submitted)

        monkeypatch.setattr(one.engine, "submit", late)
        done = await retry(one.engine, [TaskId(task) for task in (1, 3, 4, 5)])
        assert (done.changed, done.created) == ((1, 5), (6, 7))
        assert dict(done.unchanged) == {
            3: "there is no task 2 to come after",
            4: "task 3, which it comes after, was not retried",
        }


async def retried_by(one: Rig, task: int) -> int | None:
    view = await one.engine.read(lambda reader: reader.task(task))
    assert view is not None
    return view.row.retried_by


async def after(one: Rig, task: int) -> list[int]:
    view = await one.engine.read(lambda reader: reader.task(task))
    assert view is not None
    return [need.task for need in view.after]
