"""What is told of tasks while they run: what is left by what is known, a line now and then, what to do at the end."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.bench.remaining import Remaining
from passloop.cli import progress
from passloop.cli.bench_following import CellProgress
from passloop.cli.client import Client
from passloop.cli.progress import Progress, plain_line, watch_tasks
from passloop.kernel.tasks import Outcome, OutcomeKind
from tests.support.served import Served, served

TOOK = 90_000


async def train(one: Served, count: int) -> None:
    """Submit so many tasks of one class."""
    reply = await one.post("/submit", {"tasks": [{"command": ["train"]}] * count, "spec": {"task_class": "train"}})
    assert reply.status == 200
    await one.rig.heard()


async def ran_before(one: Served) -> None:
    """Task 1 took 90 s."""
    await train(one, 1)
    one.rig.clock.advance(TOOK)
    one.rig.driver.finish_task(1)
    await one.rig.heard()


async def test_what_is_left_is_told_from_what_such_tasks_took_before(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await ran_before(one)
        await train(one, 4)
        known = await asyncio.to_thread(Progress, Client(str(one.rig.home.path)), [2, 3, 4, 5])
        assert known.left() == TOOK * 2  # two at once, four to go
        assert plain_line(known) == "2 ready, 2 running; about 3m 00s left"


async def test_what_is_left_is_not_guessed_while_nothing_is_known(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit(3)
        await one.rig.heard()
        known = await asyncio.to_thread(Progress, Client(str(one.rig.home.path)), [1, 2, 3])
        assert known.left() is None
        assert plain_line(known) == "1 ready, 2 running"


async def test_a_line_comes_now_and_then_also_while_nothing_happens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, twice = asyncio.get_running_loop(), asyncio.Event()
    lines: list[str] = []

    def say(line: str) -> None:
        lines.append(line)
        if lines.count("1 running") == 2:
            loop.call_soon_threadsafe(twice.set)

    monkeypatch.setattr(progress, "_QUIET", 0.01)
    monkeypatch.setattr(progress, "_BETWEEN_LINES", 0.0)
    monkeypatch.setattr("passloop.cli.streams.say", say)
    async with served(tmp_path) as one:
        await one.submit(1)
        await one.rig.heard()
        watching = asyncio.create_task(asyncio.to_thread(watch_tasks, Client(str(one.rig.home.path)), [1]))
        await asyncio.wait_for(twice.wait(), 10)
        one.rig.driver.finish_task(1)
        await one.rig.heard()
        (ended,) = await asyncio.wait_for(watching, 10)
        assert ended["state"] == "succeeded"


async def test_what_ended_while_events_were_missed_is_found_by_looking_again(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit(3)
        await one.rig.heard()
        client, noted = Client(str(one.rig.home.path)), list[int]()
        known = await asyncio.to_thread(Progress, client, [1, 3])
        cells = await asyncio.to_thread(
            lambda: CellProgress(client, [1], run=1, note=noted.extend, remaining=Remaining({}, {}))
        )
        one.rig.driver.finish_task(1)
        one.rig.driver.finish_task(2)
        await one.rig.heard()
        assert ended(await asyncio.to_thread(known.take, [{"anew": True}])) == [1]
        assert ended(await asyncio.to_thread(cells.take, [{"anew": True}])) == [1, 2]
        assert (noted, sorted(cells.tasks)) == ([2, 3], [1, 2, 3])


def ended(tasks: list[dict[str, Any]]) -> list[int]:
    assert {task["state"] for task in tasks} == {"succeeded"}
    return [task["id"] for task in tasks]


async def test_what_failed_of_many_runs_is_named_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    monkeypatch.setattr("passloop.cli.streams.say", lines.append)
    async with served(tmp_path) as one:
        for _ in range(3):
            await one.submit(3)
        await one.post("/tasks/cancel", {"select": ["2-9"]})
        await one.rig.heard()
        one.rig.driver.finish_task(1, Outcome(OutcomeKind.FAILURE, exit_code=1))
        await one.rig.heard()
        client = Client(str(one.rig.home.path))
        await asyncio.to_thread(watch_tasks, client, [1, 3])
        assert lines[-1] == "again: passloop retry --failed 1 3"
        await asyncio.to_thread(watch_tasks, client, [1, 3, 5, 7])
        assert lines[-1] == "again: passloop retry --failed @1 @2 @3"
