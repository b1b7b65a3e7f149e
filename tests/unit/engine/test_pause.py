"""A full disk: the engine stops acting, says so, keeps what runs and what it heard, and goes on by itself."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from passloop.engine.errors import Unwritable
from passloop.engine.pause import Pause, drop_ballast, has_room, lay_ballast
from passloop.kernel.events import PauseChanged
from passloop.kernel.tasks import TaskState
from passloop.store.database import Batch
from passloop.store.errors import StoreFull
from tests.support.engines import Rig, commands, rig


def fill(one: Rig) -> None:
    """From now on the database may not grow: what SQLite says is what it says on a full disk."""
    one.store._writer.pragma("max_page_count", 1)


def make_room(one: Rig) -> None:
    one.store._writer.pragma("max_page_count", 1_000_000)


async def paused(one: Rig) -> None:
    await one.until(lambda: one.engine.turns.pause)


async def test_a_full_disk_pauses_and_the_kept_events_are_handled_when_there_is_room(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        await one.engine.submit(commands(1))
        fill(one)
        big = asyncio.ensure_future(one.engine.submit(commands(3_000)))
        await paused(one)
        assert one.engine.status().state.startswith("paused: ")
        assert "full" in one.engine.status().state
        assert not big.done()
        make_room(one)
        one.alarm.advance(1_000)
        answer = await big
        assert len(answer.tasks) == 3_000
        assert one.engine.status().state == "running"


async def test_a_stop_ends_though_the_disk_is_full_by_then(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    await one.open().start()
    await one.engine.submit(commands(1))
    one.store.commit = refuse  # type: ignore[method-assign]
    async with asyncio.timeout(20):
        await one.close()


def refuse(_batch: Batch) -> int:
    """The disk is full."""
    raise StoreFull("the disk is full", hint="free space")


async def test_a_paused_engine_starts_nothing_and_stops_nothing(tmp_path: Path) -> None:
    async with rig(tmp_path, cpus=1) as one:
        await one.engine.submit(commands(2))
        fill(one)
        big = asyncio.ensure_future(one.engine.submit(commands(3_000)))
        await paused(one)
        one.driver.finish_task(1)
        one.alarm.advance(999)
        await one.engine.read(lambda reader: reader.counts())
        assert one.driver.calls == [("launch", 1)]
        make_room(one)
        one.alarm.advance(1)
        await big
        assert ("launch", 2) in one.driver.calls
        assert one.store.states_of([1]) == {1: TaskState.SUCCEEDED}


async def test_a_submission_during_the_pause_is_refused_with_what_to_do(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        fill(one)
        big = asyncio.ensure_future(one.engine.submit(commands(3_000)))
        await paused(one)
        with pytest.raises(Unwritable) as refused:
            await one.engine.submit(commands(1))
        assert "free space" in refused.value.hint
        make_room(one)
        one.alarm.advance(1_000)
        await big


async def test_writing_is_tried_again_after_1_2_4_4_seconds(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        fill(one)
        start = one.clock.now()
        big = asyncio.ensure_future(one.engine.submit(commands(3_000)))
        await paused(one)
        tries = []
        for _ in range(4):
            pause = one.engine.turns.pause
            assert pause is not None
            tries.append(pause.retry_at - one.clock.now())
            one.alarm.advance(tries[-1])
            await one.until(lambda pause=pause: one.engine.turns.pause not in (pause, None))
        assert tries == [1_000, 2_000, 4_000, 4_000]
        assert one.engine.turns.pause is not None
        assert one.engine.turns.pause.since == start
        make_room(one)
        one.alarm.advance(4_000)
        await big


async def test_a_pause_after_a_good_turn_is_a_new_one(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        for _ in range(2):
            fill(one)
            big = asyncio.ensure_future(one.engine.submit(commands(3_000)))
            await paused(one)
            pause = one.engine.turns.pause
            assert pause is not None
            assert (pause.since, pause.retry_at) == (one.clock.now(), one.clock.now() + 1_000)
            make_room(one)
            one.alarm.advance(1_000)
            await big
            await one.engine.submit(commands(1))


async def test_the_ballast_is_given_up_and_laid_down_again(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        assert one.home.ballast.stat().st_size > 0
        fill(one)
        big = asyncio.ensure_future(one.engine.submit(commands(3_000)))
        await paused(one)
        async with one.engine.turns.deciding:
            assert not one.home.ballast.exists()
        make_room(one)
        one.alarm.advance(1_000)
        await big
        assert one.home.ballast.stat().st_size > 0


def test_a_ballast_that_does_not_fit_leaves_nothing_behind(tmp_path: Path) -> None:
    assert not lay_ballast(tmp_path / "no folder" / "ballast", 100)
    assert not (tmp_path / "no folder").exists()


def test_a_ballast_is_whole_or_not_there(tmp_path: Path) -> None:
    path = tmp_path / "ballast"
    assert lay_ballast(path, 200_000)
    assert path.stat().st_size >= 200_000
    assert path.stat().st_blocks * 512 >= 200_000, "it has a size, but no room of the disk"
    drop_ballast(path)
    drop_ballast(path)
    assert not path.exists()


def test_a_pause_never_waits_more_than_four_seconds() -> None:
    pause = Pause.begin("disk full", 0)
    for _ in range(50):
        pause = pause.again(0)
    assert pause.retry_at == 4_000


async def test_a_driver_that_finds_no_room_pauses_the_engine_until_there_is_some(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        one.home.runs.touch()
        one.engine.report(PauseChanged(paused=True, reason="disk full: no room for attempts"))
        await paused(one)
        assert one.engine.status().state == "paused: disk full: no room for attempts"
        with pytest.raises(Unwritable, match="no room for attempts"):
            await one.engine.submit(commands(1))
        one.alarm.advance(1_000)
        await one.until(lambda: one.engine.turns.pause is not None and one.engine.turns.pause.tries == 1)
        one.home.runs.unlink()
        one.alarm.advance(2_000)
        await one.until(lambda: one.engine.turns.pause is None)
        assert (await one.engine.submit(commands(1))).tasks == (1,)


async def test_a_drivers_word_of_a_full_disk_is_over_with_the_pause_that_it_came_into(tmp_path: Path) -> None:
    """It could not be stored either; told again afterwards it would pause an engine that has room."""
    async with rig(tmp_path) as one:
        fill(one)
        one.engine.inbox.put(PauseChanged(paused=True, reason="disk full: no room for attempts"))
        big = one.engine.inbox.ask(commands(3_000))
        await paused(one)
        make_room(one)
        one.alarm.advance(1_000)
        await big
        assert one.engine.status().state == "running"


async def test_an_engine_that_died_in_a_pause_comes_back_without_it(tmp_path: Path) -> None:
    one = Rig(tmp_path)
    await one.open().start()
    one.engine.report(PauseChanged(paused=True, reason="disk full: no room for attempts"))
    await paused(one)
    await one.kill()
    await one.open().start()
    assert one.engine.status().state == "running"
    await one.engine.submit(commands(1))
    await one.heard()
    assert len(one.outside.live) == 1
    await one.close()


def test_room_is_proved_by_a_file_that_is_removed_again(tmp_path: Path) -> None:
    assert has_room(tmp_path)
    assert list(tmp_path.iterdir()) == []
    assert has_room(tmp_path / "not there yet")
    (tmp_path / "file").touch()
    assert not has_room(tmp_path / "file")
