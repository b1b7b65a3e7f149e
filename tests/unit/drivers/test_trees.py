"""Whatever shape a tree of processes takes, nothing of it outlives its attempt."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from passloop.kernel.events import Exited
from passloop.kernel.tasks import OutcomeKind
from tests.support.attempts import TREE_SIZES, Lifeline, Stage, tree_command

SHAPES = list(TREE_SIZES)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as stage:
        yield stage


def launch_all(stage: Stage, **fields: int) -> dict[int, Lifeline]:
    lifelines = {attempt: stage.lifeline() for attempt in range(1, len(SHAPES) + 1)}
    for attempt, lifeline in lifelines.items():
        stage.launch(tree_command(SHAPES[attempt - 1], lifeline), attempt, **fields)
    return lifelines


async def endings(stage: Stage, lifelines: dict[int, Lifeline]) -> dict[str, tuple[OutcomeKind, bool]]:
    """For each shape its outcome, and whether something of it lived when that was told."""
    found: dict[str, tuple[OutcomeKind, bool]] = {}

    async def see(attempt: int) -> None:
        exited = await stage.ended(attempt)
        found[SHAPES[attempt - 1]] = (exited.outcome.kind, lifelines[attempt].survivors())

    await asyncio.gather(*(see(attempt) for attempt in lifelines))
    return found


async def test_cancel_leaves_no_process_of_any_tree(stage: Stage) -> None:
    lifelines = launch_all(stage)
    for attempt, lifeline in lifelines.items():
        await lifeline.until(TREE_SIZES[SHAPES[attempt - 1]])
        stage.driver.halt(stage.order(attempt).attempt, 1, grace=300, reason="cancelled")
    assert await endings(stage, lifelines) == dict.fromkeys(SHAPES, (OutcomeKind.CANCELLED, False))


async def test_the_time_limit_leaves_no_process_of_any_tree(stage: Stage) -> None:
    lifelines = launch_all(stage, time_limit=2_500, grace=300)
    assert await endings(stage, lifelines) == dict.fromkeys(SHAPES, (OutcomeKind.TIMEOUT, False))
    assert [lifeline.came_up() for lifeline in lifelines.values()] == list(TREE_SIZES.values())


async def test_what_a_command_leaves_running_is_ended_and_its_own_exit_counts(stage: Stage) -> None:
    lifeline = stage.lifeline()
    exited = await stage.run(tree_command("leaves_daemon", lifeline), grace=300)
    assert (exited.outcome.kind, lifeline.survivors()) == (OutcomeKind.SUCCESS, False)


async def test_a_tree_that_forks_while_it_is_killed_is_ended(stage: Stage) -> None:
    lifeline = stage.lifeline()
    script = f"exec 9>'{lifeline.path}'; trap '' TERM; printf x >&9; while :; do (sleep 0.01 &) ; sleep 0.01; done"
    stage.launch(["bash", "-c", script])
    await lifeline.until(1)
    stage.driver.halt(stage.order().attempt, 1, grace=0, reason="cancelled")
    exited = await stage.ended()
    assert (exited.outcome.kind, lifeline.survivors()) == (OutcomeKind.CANCELLED, False)


async def test_a_stopped_tree_is_ended_politely(stage: Stage) -> None:
    lifeline = stage.lifeline()
    script = f"exec 9>'{lifeline.path}'; printf x >&9; kill -STOP $$; sleep 600"
    stage.launch(["bash", "-c", script], grace=3_600_000)
    await lifeline.until(1)
    stage.driver.halt(stage.order().attempt, 1, grace=3_600_000, reason="cancelled")
    assert (await stage.ended()).outcome.signal == 15


async def test_a_process_far_below_the_command_is_asked_to_end_too(stage: Stage) -> None:
    """Those above it ignore that and wait for it: without its turn nothing would end before the grace, of an hour."""
    lifeline = stage.lifeline()
    stage.launch(tree_command("chain", lifeline), grace=3_600_000)
    await lifeline.until(1)
    stage.driver.halt(stage.order().attempt, 1, grace=3_600_000, reason="cancelled")
    ended = await stage.ended()
    assert (ended.outcome.kind, ended.outcome.exit_code) == (OutcomeKind.CANCELLED, 0)
    assert not lifeline.survivors()


async def test_the_exit_is_reported_once(stage: Stage) -> None:
    await stage.run(["true"])
    await stage.run(["true"], 2)
    assert [event.attempt for event in stage.heard.events if isinstance(event, Exited)] == [1, 2]
