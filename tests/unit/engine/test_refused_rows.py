"""What the store refuses is refused to who asked for it; a fact that cannot be kept ends the engine, which says so."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from passloop.engine.engine import Engine
from passloop.engine.errors import EngineStopped, Refused
from passloop.kernel.events import Exited, Held, Submitted
from passloop.kernel.ids import AttemptId, TaskId
from passloop.kernel.tasks import Outcome, OutcomeKind, TaskState
from passloop.store.errors import StoreRefused
from tests.support.engines import Rig, commands, rig

NOT_TEXT = "\ud800"
NO_INTEGER = 2**63


def bad_submission() -> Submitted:
    """One that the kernel takes and the store cannot keep."""
    good = commands(2)
    return replace(good, tasks=(good.tasks[0], replace(good.tasks[1], rank=NO_INTEGER)))


async def test_only_the_submission_that_cannot_be_kept_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with rig(tmp_path) as one:
        engine = one.engine
        async with engine.turns.deciding:
            asked = [
                asyncio.ensure_future(engine.submit(each)) for each in (commands(1), bad_submission(), commands(1))
            ]
            await asyncio.sleep(0)
        first, bad, last = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(bad, Refused)
        assert "cannot keep" in bad.message
        assert (bad.exit_code, bad.code) == (2, "invalid")
        assert [answer.tasks for answer in (first, last)] == [(1,), (2,)]
        assert "dropped" in capsys.readouterr().err
        assert engine.status().state == "running"


async def test_text_that_is_none_is_refused_alone_too(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        with pytest.raises(Refused, match="cannot keep"):
            await one.engine.submit(replace(commands(1), name=NOT_TEXT))
        assert (await one.engine.submit(commands(1))).tasks == (1,)


def ended_badly(one: Rig) -> Exited:
    """A driver's word about the attempt that runs, which no store can keep."""
    outcome = Outcome(OutcomeKind.FAILURE, exit_code=NO_INTEGER, message=NOT_TEXT)
    (attempt,) = one.engine.attempts.rows()
    return Exited(AttemptId(attempt.id), attempt.epoch, outcome)


async def one_running(one: Rig) -> None:
    await one.engine.submit(commands(1))
    await one.engine.wait_started(TaskId(1), timeout_ms=10_000)


async def test_a_fact_that_cannot_be_kept_ends_the_engine(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    engine = one.open()
    await engine.start()
    await one_running(one)
    waiting = asyncio.ensure_future(engine.wait_final([TaskId(1)]))
    await engine.read(lambda reader: reader.counts())
    engine.report(ended_badly(one))
    with pytest.raises(StoreRefused, match="cannot keep"):
        await engine.ended()
    with pytest.raises(EngineStopped):
        await waiting
    await stopped(engine)
    assert one.store.states_of([1]) == {1: TaskState.RUNNING}
    one.store.close()
    await one.open().start()
    assert (await one.engine.submit(commands(1))).tasks == (2,)
    await one.close()


async def stopped(engine: Engine) -> None:
    with pytest.raises(StoreRefused):
        await engine.stop()


async def test_who_asked_in_the_same_batch_is_told(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    engine = one.open()
    await engine.start()
    await one_running(one)
    engine.report(ended_badly(one))
    asked = asyncio.ensure_future(engine.send(Held(())))
    with pytest.raises((StoreRefused, EngineStopped)):
        await asyncio.wait_for(asked, 20)
    await stopped(engine)
    one.store.close()
