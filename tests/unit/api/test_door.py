"""The way to an engine: who becomes it, who finds it, and what happens when it goes away."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest

import passloop
from passloop import command
from passloop.api.door import Door, home_path
from passloop.api.numbers import Number
from tests.support.command_line import Box, ended_boxes
from tests.support.ledger import pretend, until


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without an engine."""
    return pretend(monkeypatch, tmp_path, "2x80GiB")


@pytest.fixture
def box(tmp_path: Path, home: Path) -> Iterator[Box]:
    """The command line of the same home; what it starts is ended."""
    with ended_boxes(tmp_path) as found:
        yield found


def test_the_home_is_the_one_named_else_the_variables_else_the_users(
    home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert home_path("x") == tmp_path / "x"
    assert home_path(None) == home
    monkeypatch.delenv("PASSLOOP_HOME")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    assert home_path(None) == tmp_path / "state" / "passloop"


async def test_of_several_that_open_at_once_one_becomes_the_engine(home: Path) -> None:
    doors = [Door(home) for _ in range(5)]
    await asyncio.gather(*[door.open() for door in doors])
    assert sorted(door.embedded for door in doors) == [False] * 4 + [True]
    for door in sorted(doors, key=lambda door: door.embedded):
        assert (await door.get("/status"))["engine"]["pid"] == os.getpid()
        await door.close()


async def test_a_client_becomes_the_engine_when_its_engine_has_gone(home: Path) -> None:
    async with contextlib.AsyncExitStack() as first:
        await first.enter_async_context(passloop.open(home))
        async with passloop.open(home) as second:
            assert not second.embedded
            await first.aclose()
            assert await second.tasks() == ()
            assert second.embedded


async def test_a_wait_goes_on_when_the_engine_is_killed(home: Path, box: Box) -> None:
    assert box.run("up").code == 0
    os.mkfifo(home.parent / "go")
    async with passloop.open(home) as engine:
        run = await engine.submit(command("sh", "-c", f"read x < '{home.parent}/go'"))
        waited, watched = asyncio.create_task(run.wait()), asyncio.create_task(_states(run))
        await until(engine, lambda tasks: tasks[0].state == "running")
        await asyncio.to_thread(box.kill_engine)
        await asyncio.to_thread((home.parent / "go").write_text, "go\n")
        (task,) = (await waited).tasks
        assert (task.state, task.attempt, engine.embedded) == ("succeeded", 1, True)
        assert (await watched)[-1] == "succeeded"


async def _states(run: passloop.Run) -> list[str]:
    return [change.state async for change in run.watch()]


async def test_an_engine_in_this_process_can_be_told_to_go_down(home: Path, box: Box) -> None:
    async with passloop.open(home) as engine:
        assert (await asyncio.to_thread(box.run, "down")).code == 0
        with pytest.raises(passloop.EngineGone, match="was told to go down"):
            await engine.tasks()


@pytest.fixture
def home_for_all(home: Path) -> Path:
    """A home that others may change."""
    home.mkdir()
    home.chmod(0o777)
    return home


@pytest.fixture
def lock(home: Path) -> Iterator[TextIO]:
    """The lock of the home, held by somebody who does not answer."""
    home.mkdir(mode=0o700)
    with open(home / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


async def test_a_home_that_cannot_be_used_is_an_error_with_a_fix(home_for_all: Path) -> None:
    with pytest.raises(passloop.PassloopError, match="chmod 700"):
        async with passloop.open(home_for_all):
            pass


async def test_a_setting_that_cannot_be_is_an_error_with_the_form(home: Path) -> None:
    with pytest.raises(passloop.PassloopError, match="4x80GiB"):
        async with passloop.open(home, virtual_gpus="lots"):
            pass


async def test_it_waits_for_who_owns_the_home_and_then_becomes_the_engine(home: Path, lock: TextIO) -> None:
    door = Door(home)
    opening = asyncio.create_task(door.open())
    assert not (await asyncio.wait([opening], timeout=0.2))[0]
    lock.close()
    await asyncio.wait_for(opening, 30)
    assert door.embedded
    await door.close()


async def test_opening_can_be_cancelled_at_any_step(home: Path) -> None:
    for steps in range(0, 40, 4):
        door = Door(home)
        opening = asyncio.create_task(door.open())
        for _ in range(steps):
            await asyncio.sleep(0)
        opening.cancel()
        await asyncio.wait([opening])
        await door.close()
    async with passloop.open(home) as engine:
        assert engine.embedded, "nothing keeps the home's lock"


def test_numbers_are_the_least_that_nobody_has(tmp_path: Path) -> None:
    one, two = Number(tmp_path), Number(tmp_path)
    assert (one.value, two.value) == (1, 2)
    one.close()
    again = Number(tmp_path)
    assert again.value == 1
    for number in (two, again):
        number.close()
