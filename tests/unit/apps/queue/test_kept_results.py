"""What a broad `rm` leaves: tasks that a dataset or a study goes on from, or whose cost it counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.apps.queue.kept_results import KeptResults, is_kept
from passloop.engine.removal import remove
from passloop.kernel.ids import TaskId
from passloop.store.filters import TaskFilter
from tests.unit.apps.tune.search.by_hand import tuning


@pytest.mark.parametrize(
    ("state", "attempts", "key", "kept"),
    [
        ("ready", 0, "generate:abc:0:text:1", True),  # it may have come to something by then
        ("succeeded", 0, "generate:abc:0:text:1", True),
        ("failed", 1, "generate:abc:0:text:1", True),
        ("cancelled", 1, "tune:abc:1", True),
        ("cancelled", 0, "generate:abc:0:text:1", False),
        ("rejected", 0, "tune:abc:1", False),
        ("aborted", 0, "generate:abc:0:text:1", False),
        ("succeeded", 1, "generate:files:1", True),
        ("failed", 1, "generate:files:1:7", False),
    ],
)
def test_what_was_tried_is_kept_however_it_ended(state: str, attempts: int, key: str, *, kept: bool) -> None:
    assert is_kept(state, attempts=attempts, key=key) is kept


async def test_a_study_still_knows_what_ran_out_of_memory_after_a_broad_rm(tmp_path: Path) -> None:
    async with tuning(tmp_path, max_parallel=1) as made:
        await made.until_live(1)
        made.end(0, None, kind="out_of_memory")
        await made.rig.until(lambda: 1 in made.live)
        engine = made.rig.engine
        failed = await engine.read(lambda reader: reader.task_ids(TaskFilter(states=("failed",))))
        kept = await engine.read(lambda reader: KeptResults.among(failed, reader))
        assert (len(failed), kept.tasks, kept.results) == (1, set(failed), set(failed))
        await remove(engine, [TaskId(task) for task in failed], spared=dict.fromkeys(kept.tasks, "kept"))
        failure = made.trials()[0].failure
        assert failure is not None
        assert failure.kind == "out_of_memory"
