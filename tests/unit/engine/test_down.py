"""Going down: drain lets work finish, leave lets it run on, now ends it and keeps the tasks."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from passloop.engine.errors import EngineStopped
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import TaskState
from tests.support.engines import Rig, commands, rig


async def test_drain_claims_nothing_more_and_ends_when_nothing_runs(tmp_path: Path) -> None:
    async with rig(tmp_path, cpus=1) as one:
        await one.engine.submit(commands(2))
        draining = asyncio.ensure_future(one.engine.drain())
        await one.until(lambda: one.engine.status().state == "draining")
        assert not draining.done()
        one.driver.finish_task(1)
        await draining
        assert one.store.states_of([1, 2]) == {1: TaskState.SUCCEEDED, 2: TaskState.READY}


async def test_leave_stops_the_engine_and_not_the_work(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    await one.open().start()
    await one.engine.submit(commands(2))
    await one.engine.stop()
    assert len(one.outside.live) == 2
    assert set(one.store.states_of([1, 2]).values()) == {TaskState.RUNNING}
    one.store.close()


async def test_now_ends_what_runs_and_the_tasks_go_back_to_ready_at_no_cost(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(commands(1))
        await one.engine.drain(stop_running=True)
        view = await one.engine.read(lambda reader: reader.task(1))
        assert view is not None
        assert (view.row.state, view.row.losses, view.row.failures) == (TaskState.READY, 0, 0)
        assert one.outside.live == {}


async def test_an_engine_that_was_drained_claims_again_after_its_restart(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    await one.open().start()
    await one.engine.submit(commands(1))
    await one.engine.drain(stop_running=True)
    await one.close()
    await one.open().start()
    one.alarm.advance(60_000)
    await one.until(lambda: one.outside.live)
    await one.close()


async def test_a_stopped_engine_answers_nobody(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    await one.open().start()
    await one.engine.stop()
    with pytest.raises(EngineStopped):
        await one.engine.submit(commands(1))
    one.store.close()


async def test_who_waits_for_tasks_is_told_that_the_engine_stopped(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    await one.open().start()
    await one.engine.submit(commands(1))
    waiting = asyncio.ensure_future(one.engine.wait_final([TaskId(1)]))
    await asyncio.sleep(0)
    assert len(one.engine.waiting) == 1
    await one.engine.stop()
    with pytest.raises(EngineStopped):
        await waiting
    one.store.close()


async def test_who_begins_to_wait_when_the_engine_has_hung_up_is_told_at_once(tmp_path: Path) -> None:
    """Those who waited before were told once; nobody would ever tell those who come after."""
    async with rig(tmp_path) as one:
        await one.engine.submit(commands(2))
        one.driver.finish_task(1)
        await one.engine.wait_final([TaskId(1)])
        one.engine.hang_up()
        assert await one.engine.wait_final([TaskId(1)])
        for waiting in (one.engine.wait_final([TaskId(2)]), one.engine.wait_final([TaskId(1), TaskId(2)])):
            with pytest.raises(EngineStopped):
                await asyncio.wait_for(waiting, 20)
