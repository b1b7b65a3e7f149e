"""The turn: decide, commit, then act and answer. No tick, no pass without a reason."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from passloop.engine.writer import Loaded, Writer
from passloop.kernel.events import Exited, Held, Started
from passloop.kernel.ids import AttemptId, TaskId
from passloop.kernel.tasks import Outcome, OutcomeKind, RetryBudgets, TaskState
from passloop.store.database import Batch, Store
from tests.support.engines import Rig, commands, one_cpu, rig

ROUNDS_OF_THE_LOOP = 50
"""More than anything takes that waits for nothing."""


class Gate:
    """Holds commits back until it is opened; stands in the writer's own thread."""

    def __init__(self, writer: Writer) -> None:
        self.reached = threading.Event()
        self._open = threading.Event()
        self._commit = writer._commit
        writer._commit = self._held  # type: ignore[method-assign]

    def open(self) -> None:
        self._open.set()

    def _held(self, store: Store, batch: Batch, instructions: object) -> Loaded:
        self.reached.set()
        assert self._open.wait(10)
        return self._commit(store, batch, instructions)  # type: ignore[arg-type]


async def test_a_submitted_task_is_launched_and_succeeds(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        answer = await one.engine.submit(commands(2))
        one.driver.finish_task(1)
        one.driver.finish_task(2)
        assert await one.engine.wait_final(answer.tasks)
        assert set(one.store.states_of(answer.tasks).values()) == {TaskState.SUCCEEDED}


@pytest.mark.parametrize("held", [False, True], ids=["starts at once", "held"])
async def test_nothing_is_launched_or_answered_before_its_commit(tmp_path: Path, held: bool) -> None:
    async with rig(tmp_path) as one:
        gate = Gate(one.engine.writer)
        answer = asyncio.ensure_future(one.engine.submit(commands(1, held=held)))
        await asyncio.to_thread(gate.reached.wait, 10)
        for _ in range(ROUNDS_OF_THE_LOOP):
            await asyncio.sleep(0)
        assert one.driver.calls == []
        assert not answer.done()
        assert one.store.states_of([1]) == {}
        gate.open()
        await answer
        assert one.driver.calls == ([] if held else [("launch", 1)])


async def test_a_look_at_the_machine_waits_for_the_commit_under_way(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        gate = Gate(one.engine.writer)
        answer = asyncio.ensure_future(one.engine.submit(commands(1)))
        await asyncio.to_thread(gate.reached.wait, 10)
        look = asyncio.ensure_future(one.engine.look(lambda machine, _now: machine.running()))
        await asyncio.sleep(0)
        assert not look.done()
        gate.open()
        await answer
        assert await look == (1,)


async def test_events_that_gather_during_a_commit_share_the_next_one(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(commands(300))
        gate = Gate(one.engine.writer)
        before = one.store.last_seq
        sent = [asyncio.ensure_future(one.engine.send(Held((TaskId(task),)))) for task in range(100, 300)]
        await asyncio.to_thread(gate.reached.wait, 10)
        gate.open()
        await asyncio.gather(*sent)
        assert one.store.last_seq - before <= 2


async def test_a_start_lingers_so_that_its_exit_shares_the_commit(tmp_path: Path) -> None:
    made = Rig(tmp_path)
    engine = made.open(slow=True)
    engine.inbox._linger_ms = 60_000
    await engine.start()
    try:
        answer = await engine.submit(commands(1))
        before = made.store.last_seq
        made.driver.say()
        made.driver.finish_task(1)
        made.driver.say()
        await engine.wait_final(answer.tasks)
        assert made.store.last_seq == before + 1
    finally:
        await made.close()


async def test_an_idle_engine_with_a_thousand_deferred_tasks_makes_no_pass(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(commands(2))
        await one.engine.submit(commands(1_000, held=True))
        passes, turns = one.engine.status().passes, one.engine.turns.made
        one.alarm.advance(3_600_000)
        await one.engine.read(lambda reader: reader.counts())
        assert (one.engine.status().passes, one.engine.turns.made) == (passes, turns)


async def test_a_backoff_ends_by_the_alarm_and_by_nothing_else(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        retrying = commands(1, spec=one_cpu(retries=RetryBudgets(failure=1)))
        answer = await one.engine.submit(retrying)
        one.driver.finish_task(1, Outcome(kind=OutcomeKind.FAILURE, exit_code=1))
        await one.heard()
        assert one.store.states_of([1]) == {1: TaskState.BACKOFF}
        assert one.alarm.at is not None
        one.alarm.advance(one.alarm.at - one.clock.now())
        await one.until(lambda: len(one.driver.calls) == 2)
        one.driver.finish_task(1)
        assert await one.engine.wait_final(answer.tasks)


async def test_a_stale_epoch_changes_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(commands(1))
        stale = Exited(AttemptId(1), 7, Outcome(kind=OutcomeKind.FAILURE))
        one.engine.report(stale)
        one.engine.report(Started(AttemptId(99), 1))
        await one.engine.send(Held((TaskId(1),)))
        assert one.store.states_of([1]) == {1: TaskState.RUNNING}


async def test_each_turn_is_one_row_of_the_journal(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(commands(3))
        await one.heard()
        assert one.store.last_seq == one.engine.turns.made > 1


async def test_the_last_turn_of_an_engine_claims_nothing(tmp_path: Path) -> None:
    """What it took would run beside an engine that goes away, and nobody would see it begin."""
    one = Rig(tmp_path, cpus=1)
    await one.open().start()
    await one.engine.submit(commands(2))
    await one.heard()
    one.driver.finish_task(1)
    await one.close()
    assert one.driver.calls == [("launch", 1)]
    await one.open().start()
    await one.heard()
    assert one.driver.calls == [("launch", 2)]
    await one.close()
