"""What a follower sees once its engine is gone: the store's word where that is the last one, else no answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from passloop.cli.client import Client, EngineLost
from passloop.cli.lasting_reads import LastingReads
from passloop.cli.reads import Ask
from tests.support.served import served

ASKS: list[Callable[[LastingReads, int], Any]] = [
    lambda reads, task: reads.task(task),
    lambda reads, task: reads.tasks(Ask((str(task),))),
    lambda reads, run: reads.run(run),
]


@pytest.mark.parametrize("ask", ASKS, ids=["task", "tasks", "run"])
async def test_of_what_is_over_the_store_has_the_last_word(
    tmp_path: Path, ask: Callable[[LastingReads, int], Any]
) -> None:
    async with served(tmp_path) as one:
        await one.submit(1)
        await one.submit(1)
        await one.rig.heard()
        one.rig.driver.finish_task(1)
        await one.rig.heard()
        home = str(one.rig.home.path)
    found = ask(LastingReads(Client(home).patient()), 1)
    assert str(found).count("succeeded") == 1
    with pytest.raises(EngineLost, match="no other came"):
        ask(LastingReads(Client(home, patience=0.01)), 2)
    with pytest.raises(EngineLost, match="no engine"):
        ask(LastingReads(Client(home)), 1)
