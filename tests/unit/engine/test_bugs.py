"""When something is wrong inside: an illegal event is dropped alone, and a broken store ends the engine loudly."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest

from passloop.engine.errors import EngineStopped, Refused
from passloop.kernel.errors import IllegalEvent
from passloop.kernel.events import Event, Held
from passloop.kernel.ids import TaskId
from passloop.kernel.machine import Machine
from passloop.kernel.tasks import OutcomeKind, TaskState
from passloop.store.errors import StoreBusy, StoreDamaged, StoreError, StoreFull, StoreOutOfFiles
from tests.support.engines import Rig, commands, rig

POISON = Held((TaskId(666),))


@pytest.fixture
def _poisoned(monkeypatch: pytest.MonkeyPatch) -> None:
    """One event that the machine takes for illegal, in the middle of what it changes."""
    handle = Machine.handle

    def handle_or_raise(machine: Machine, batch: list[Event], now: int, seed: int = 0) -> object:
        turn = handle(machine, batch, now, seed)
        if POISON in batch:
            raise IllegalEvent("task 666 was never there")
        return turn

    monkeypatch.setattr(Machine, "handle", handle_or_raise)


@pytest.mark.usefixtures("_poisoned")
async def test_an_illegal_event_is_dropped_and_the_rest_of_its_batch_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with rig(tmp_path) as one:
        before = asyncio.ensure_future(one.engine.submit(commands(1)))
        poison = asyncio.ensure_future(one.engine.send(POISON))
        after = asyncio.ensure_future(one.engine.submit(commands(1)))
        assert (await before).tasks == (1,)
        with pytest.raises(Refused, match="666"):
            await poison
        assert (await after).tasks == (2,)
        await one.heard()
        assert set(one.store.states_of([1, 2]).values()) == {TaskState.RUNNING}
    assert "task 666 was never there" in capsys.readouterr().err


@pytest.mark.usefixtures("_poisoned")
async def test_an_illegal_event_and_a_full_disk_at_once_lose_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        one.store._writer.pragma("max_page_count", 1)
        poison = asyncio.ensure_future(one.engine.send(POISON))
        big = asyncio.ensure_future(one.engine.submit(commands(3_000)))
        await one.until(lambda: one.engine.turns.pause)
        one.store._writer.pragma("max_page_count", 1_000_000)
        one.alarm.advance(1_000)
        with pytest.raises(Refused):
            await poison
        assert len((await big).tasks) == 3_000


async def test_a_damaged_store_ends_the_engine_and_tells_everybody(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    await one.open().start()
    await one.engine.submit(commands(1))
    await one.heard()
    waiting = asyncio.ensure_future(one.engine.wait_final([TaskId(1)]))

    def broken(_batch: object) -> int:
        raise StoreDamaged("a page is not as it was written", hint="passloop doctor --repair")

    one.store.commit = broken  # type: ignore[method-assign]
    asking = asyncio.ensure_future(one.engine.submit(commands(1)))
    with pytest.raises(StoreDamaged):
        await one.engine.ended()
    for future in (asking, waiting):
        with pytest.raises((EngineStopped, StoreDamaged)):
            await future
    with pytest.raises(EngineStopped):
        await one.engine.submit(commands(1))
    with pytest.raises(StoreDamaged):
        await one.engine.stop()
    assert len(one.outside.live) == 1
    one.store.close()


PASSING: tuple[StoreError, ...] = (
    StoreFull("disk I/O error", hint=""),
    StoreBusy("it is locked by another process", hint=""),
    StoreOutOfFiles("too many open files", hint="", number=errno.EMFILE),
)


@pytest.mark.parametrize("error", PASSING, ids=["I/O", "locked", "descriptors"])
async def test_a_batch_of_which_nothing_can_be_read_after_its_commit_happens_once(
    tmp_path: Path, error: StoreError
) -> None:
    """It is stored, so who asked is answered; the next engine finds that its start was given to no driver."""
    one = Rig(tmp_path)
    await one.open().start()
    read_nothing(one, error)
    assert (await one.engine.submit(commands(1))).tasks == (1,)
    with pytest.raises(EngineStopped, match=f"is stored, but .* {error.message}"):
        await one.engine.ended()
    await crash(one)
    assert one.outside.live == {}
    await one.open().start()
    await one.engine.wait_started(TaskId(1))
    with one.store.reader() as reader:
        assert [view.row.id for view in reader.runs()] == [1]
        first, second = reader.attempts(1)
    assert first.outcome is not None
    assert (first.outcome.kind, first.outcome.engine_lost) == (OutcomeKind.LOST, True)
    assert one.driver.calls == [("reattach", 1), ("launch", second.id)]
    await one.close()


@pytest.mark.usefixtures("_poisoned")
async def test_nothing_is_committed_after_a_batch_of_which_nothing_can_be_read(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    await one.open().start()
    read_nothing(one, PASSING[0])
    before = asyncio.ensure_future(one.engine.submit(commands(1)))
    poison = asyncio.ensure_future(one.engine.send(POISON))
    after = asyncio.ensure_future(one.engine.submit(commands(1)))
    assert (await before).tasks == (1,)
    for asked in (poison, after):
        with pytest.raises(EngineStopped):
            await asked
    assert list(one.store.states_of([1, 2])) == [1]
    await crash(one)


def read_nothing(one: Rig, error: StoreError) -> None:
    """From now on what is read after a commit cannot be read."""

    def brought_by(*_: object) -> None:
        raise error

    one.store.brought_by = brought_by  # type: ignore[assignment]


async def crash(one: Rig) -> None:
    """Close what an engine leaves that an error ended."""
    with pytest.raises(EngineStopped):
        await one.engine.stop()
    one.store.close()


async def test_a_driver_that_cannot_start_leaves_nothing_open(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    engine = one.open()

    async def broken(_report: object, *, failed: object) -> None:
        raise OSError("no zygote")

    one.driver.start = broken  # type: ignore[method-assign]
    with pytest.raises(OSError, match="no zygote"):
        await engine.start()
    one.store.close()
    await one.open().start()
    assert (await one.engine.submit(commands(1))).tasks == (1,)
    await one.close()
