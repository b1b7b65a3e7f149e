"""After a restart: what runs is found again, what was admitted is settled, what was being stopped is stopped."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from passloop.clock import FakeClock
from passloop.drivers.fake import FakeDriver, FakeWorld
from passloop.engine.recovery import live_attempts, reattach
from passloop.kernel.changes import PoolChanged
from passloop.kernel.events import Cancelled, DrainChanged, Exited, StrayGone
from passloop.kernel.ids import AttemptId, TaskId
from passloop.kernel.tasks import Outcome, OutcomeKind, TaskState
from passloop.kernel.workers import WORKERS, Worker, Workers
from tests.support.builders import World
from tests.support.engines import Rig, commands, rig
from tests.unit.kernel.test_warm_order import begun_and_called_back


async def reopened(one: Rig) -> None:
    """The next engine on the same home, after its first turns."""
    await one.open().start()
    await one.heard()


async def test_running_attempts_are_found_again_and_none_is_started_twice(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    await one.open().start()
    await one.engine.submit(commands(4))
    await one.kill()
    await reopened(one)
    try:
        assert one.driver.calls == [("reattach", 1), ("reattach", 2)]
        for task in (1, 2, 3, 4):
            one.driver.finish_task(task)
            await one.engine.wait_final([TaskId(task)])
            await one.heard()
        assert set(one.outside.starts.values()) == {1}
        assert set(one.store.states_of([1, 2, 3, 4]).values()) == {TaskState.SUCCEEDED}
    finally:
        await one.close()


async def test_what_ended_while_there_was_no_engine_is_recorded_and_its_place_is_given_on(tmp_path: Path) -> None:
    one = Rig(tmp_path, cpus=1)
    await one.open().start()
    await one.engine.submit(commands(2))
    await one.kill()
    one.outside.end(AttemptId(1), Outcome(kind=OutcomeKind.FAILURE, exit_code=3))
    await reopened(one)
    try:
        assert one.store.states_of([1, 2]) == {1: TaskState.FAILED, 2: TaskState.RUNNING}
    finally:
        await one.close()


async def test_an_admitted_attempt_without_a_start_is_tombstoned_and_claimed_anew_at_no_cost(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    await one.open(slow=True).start()
    await one.engine.submit(commands(1))
    one.outside.live.clear()
    one.outside.starts.clear()
    await one.kill()
    await reopened(one)
    try:
        view = await one.engine.read(lambda reader: reader.task(1))
        assert view is not None
        assert (view.row.state, view.row.attempts, view.row.losses) == (TaskState.RUNNING, 2, 0)
        assert AttemptId(1) in one.outside.tombs
    finally:
        await one.close()


async def test_a_stop_that_did_not_reach_its_driver_is_given_again(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    await one.open().start()
    await one.engine.submit(commands(1))
    one.driver.halt = lambda *args, **kwargs: None  # type: ignore[method-assign]
    await one.engine.send(Cancelled((TaskId(1),)))
    await one.kill()
    await one.open().start()
    try:
        assert await one.engine.wait_final([TaskId(1)], timeout_ms=10_000)
        assert ("halt cancelled", 1) in one.driver.calls
        assert one.store.states_of([1]) == {1: TaskState.CANCELLED}
    finally:
        await one.close()


class Halts(FakeDriver):
    """A driver that notes what it is told to end, and why."""

    def __init__(self) -> None:
        super().__init__(FakeWorld(FakeClock()), name="workers")
        self.told: list[tuple[AttemptId, str]] = []

    def halt(self, attempt: AttemptId, epoch: int, *, grace: int, reason: str) -> None:
        self.told.append((attempt, reason))


@pytest.mark.parametrize(("kept", "told"), [(None, "recall"), ("down", "down")])
async def test_who_was_called_back_is_called_back_again_and_not_ended(kept: str | None, told: str) -> None:
    """It may have begun. Older versions stored "down" for a recall, too: such a row is taken at its word."""
    world = World(gpus=0, cpus=1, auto_start=False)
    task = begun_and_called_back(world)
    saved = world.rows.saved()
    if kept is not None:
        old = (replace(one, row=one.row._replace(stop_reason=kept)) for one in saved.tasks)
        saved = replace(saved, tasks=tuple(old))
    driver = Halts()
    await reattach({"workers": driver}, {}, saved)
    assert driver.told == [(world.attempt(task), told)]


async def test_what_was_being_ended_for_a_drain_is_kept_for_later_though_the_engine_died(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    await one.open().start()
    await one.engine.submit(commands(1))
    one.driver.halt = lambda *args, **kwargs: None  # type: ignore[method-assign]
    await one.engine.send(DrainChanged(draining=True, stop_running=True))
    await one.kill()
    await reopened(one)
    try:
        assert ("halt down", 1) in one.driver.calls
        assert one.store.states_of([1]) == {1: TaskState.RUNNING}
    finally:
        await one.close()


async def test_who_waits_behind_another_is_found_again_with_the_worker_of_both(tmp_path: Path) -> None:
    world = World(gpus=0, cpus=2)
    tasks = world.submit_many(cpus=1, n=2, driver="workers")
    known = Workers()
    known.add(worker := Worker(AttemptId(7), "workers", 1, "key", ""))
    for task in tasks:
        known.give(worker, world.attempt(task))
    saved = replace(world.rows.saved(), pools=(PoolChanged(WORKERS, WORKERS, known.text()),))
    async with rig(tmp_path) as one:
        assert [live.worker for live in live_attempts(one.store, saved)["workers"]] == [7, 7]


async def test_ready_work_starts_after_a_restart_without_anything_being_released(tmp_path: Path) -> None:
    one = Rig(tmp_path, cpus=1)
    await one.open().start()
    await one.engine.drain()
    await one.engine.submit(commands(1))
    assert one.driver.calls == []
    await one.close()
    await reopened(one)
    try:
        assert one.driver.calls == [("launch", 1)]
    finally:
        await one.close()


async def test_the_size_of_the_box_is_declared_anew_at_each_start(tmp_path: Path) -> None:
    one = Rig(tmp_path, cpus=1)
    await one.open().start()
    await one.engine.submit(commands(3))
    await one.close()
    one.environ["PASSLOOP_CPUS"] = "3"
    await reopened(one)
    try:
        assert len(one.outside.live) == 3
    finally:
        await one.close()


async def test_a_stray_of_a_final_task_stays_charged_over_a_restart(tmp_path: Path) -> None:
    one = Rig(tmp_path, cpus=1)
    await one.open().start()
    await one.engine.submit(commands(2))
    one.engine.report(Exited(AttemptId(1), 1, Outcome(kind=OutcomeKind.SUCCESS, exit_code=0), stray=True))
    await one.engine.wait_final([TaskId(1)])
    await one.kill()
    await reopened(one)
    try:
        assert one.store.states_of([2]) == {2: TaskState.READY}
        one.engine.report(StrayGone(AttemptId(1), 1))
        await one.heard()
        assert one.store.states_of([2]) == {2: TaskState.RUNNING}
    finally:
        await one.close()
