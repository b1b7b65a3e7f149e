"""The turn: decide, commit, then act and answer."""

from __future__ import annotations

from pathlib import Path

from tests.support.engines import commands, rig


async def test_a_submitted_task_is_launched_and_succeeds(tmp_path: Path) -> None:
    async with rig(tmp_path) as one:
        answer = await one.engine.submit(commands(2))
        one.driver.finish_task(1)
        one.driver.finish_task(2)
        assert await one.engine.wait_final(answer.tasks)
        states = one.store.states_of(answer.tasks)
        assert set(states.values()) == {"succeeded"}
