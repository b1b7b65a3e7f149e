"""Facts about which run a spec becomes that is handed in to the page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from passloop.web.models import specs
from passloop.web.own_commands import StartedCommand
from tests.support.served import Served, served


async def run_of(one: Served, ended: asyncio.Task[int]) -> object:
    """The run of a spec called `small` whose command said nothing yet."""
    engine = one.host.engine
    log = one.rig.home.path / "small.log"
    log.touch()
    started = StartedCommand(log.with_suffix(".yaml"), log, engine.files, ended)
    return await specs._new_run(engine, "small", started, after=engine.feed.last)


async def code(ended: int) -> int:
    return ended


async def never() -> int:
    await asyncio.Event().wait()
    return 0


async def test_while_its_command_is_at_work_an_earlier_run_is_not_that_of_a_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(specs, "RUN_WITHIN", 0)
    async with served(tmp_path) as one:
        await one.submit(name="small")
        at_work = asyncio.create_task(never())
        assert await run_of(one, at_work) is None
        at_work.cancel()


async def test_a_command_that_found_nothing_to_do_is_answered_with_the_run_that_did_it(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit(name="small")
        assert await run_of(one, asyncio.create_task(code(0))) == {"id": 1, "name": "small"}
