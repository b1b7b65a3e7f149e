"""Facts about which run a spec becomes that is handed in to the page."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from passloop.web.models import specs
from passloop.web.own_commands import StartedCommand
from tests.support.served import Served, served

WHOLE = "column one: the module was changed\nrun 1 small is whole: every row is in the file\n6 rows -> small.parquet\n"


async def run_of(one: Served, ended: asyncio.Task[int], said: str | None = None, *, after: int | None = None) -> object:
    """The run of a spec called `small` whose command said this: if nothing, it is one that names no run."""
    engine = one.host.engine
    log = one.rig.home.path / "small.log"
    log.write_text(said or "")
    started = StartedCommand(log.with_suffix(".yaml"), log, engine.files, ended)
    seq = (engine.feed.last if after is None else after) if said is None else None
    return await specs._new_run(engine, "small", started, after=seq)


async def code(ended: int) -> int:
    return ended


async def never() -> int:
    await asyncio.Event().wait()
    return 0


@pytest.mark.parametrize("said", [None, "note: it looks\n"])
async def test_while_its_command_is_at_work_an_earlier_run_is_not_that_of_a_spec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str | None
) -> None:
    monkeypatch.setattr(specs, "RUN_WITHIN", 0)
    async with served(tmp_path) as one:
        await one.submit(name="small")
        at_work = asyncio.create_task(never())
        assert await run_of(one, at_work, said) is None
        at_work.cancel()


async def test_a_command_that_found_nothing_to_do_is_answered_with_the_run_that_it_names(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit(name="small")
        await one.submit(name="small")  # of an edited spec
        assert await run_of(one, asyncio.create_task(code(0)), WHOLE) == {"id": 1, "name": "small"}


@pytest.mark.parametrize("said", [None, "8 cells; 8 complete before; 0 to run\n"])
async def test_a_command_that_found_nothing_to_do_and_names_no_run_has_none(tmp_path: Path, said: str | None) -> None:
    async with served(tmp_path) as one:
        await one.submit(name="small")
        ended = asyncio.create_task(code(0))
        await ended
        assert await run_of(one, ended, said) is None


async def test_a_command_that_declared_a_run_and_ended_at_once_is_answered_with_it(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        before = one.host.engine.feed.last
        await one.submit(name="other")
        await one.submit(name="small")
        ended = asyncio.create_task(code(0))
        await ended
        assert await run_of(one, ended, after=before) == {"id": 2, "name": "small"}
