"""Frozen records: what they compute, and how they look as tables."""

from __future__ import annotations

import sys
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime, timedelta

import pytest

from passloop.api.errors import PassloopError
from passloop.api.records import Gpus, Pools, RunResult, Task, Tasks, gpu_of, pool_of, task_of

VIEW = {
    "id": 7, "name": "t", "key": None, "run": {"id": 2, "name": "r"}, "group": "default", "state": "failed",
    "attempt": 1, "exit_code": 3, "outcome": "failure", "message": "<b>no</b>", "priority": 0,
    "submitted_at": "2026-01-02T03:04:05.006Z", "started_at": "2026-01-02T03:04:06.006Z",
    "ended_at": "2026-01-02T03:04:07.506Z", "gpus": ["GPU-a"], "results": {"loss": 0.5}, "command": ["x"],
    "cwd": "/", "params": {"lr": 0.1}, "index": None, "line": None, "after": [], "unknown": "kept out",
}  # fmt: skip
TASK = task_of(VIEW)
GPU_VIEW = {
    "index": 0, "uuid": "GPU-a", "name": "x", "vram_mib": 80, "free_mib": 40, "free_share": 0.5, "state": "available",
    "holders": [7], "virtual": True, "unknown": 1,
}  # fmt: skip
POOL_VIEW = {
    "name": "cpu", "kind": "amount", "capacity": 2_000, "used": 1_000, "free": 1_000, "parent": None, "state": "open",
    "until": None, "limit": None, "holders": [7], "unknown": 1,
}  # fmt: skip


def test_a_task_is_made_of_the_engines_json() -> None:
    assert (TASK.id, TASK.run, TASK.gpus, TASK.command, TASK.metrics) == (7, 2, ("GPU-a",), ("x",), {"loss": 0.5})
    assert TASK.submitted_at == datetime(2026, 1, 2, 3, 4, 5, 6000, tzinfo=UTC)
    assert TASK.ended_at == TASK.submitted_at + timedelta(seconds=2.5)


def test_seconds_are_known_once_it_has_ended() -> None:
    assert TASK.seconds == 1.5
    assert replace(TASK, ended_at=None).seconds is None


def test_records_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        TASK.state = "succeeded"  # type: ignore[misc]


@pytest.mark.parametrize(("state", "final"), [("running", False), ("failed", True), ("rejected", True)])
def test_a_task_knows_whether_it_is_final(state: str, final: bool) -> None:
    assert replace(TASK, state=state).final is final


def test_only_final_tasks_count_as_failed() -> None:
    running = replace(TASK, id=8, state="running")
    result = RunResult(2, "r", (TASK, running))
    assert (result.failed, result.succeeded) == ((TASK,), False)
    assert RunResult(2, "r", (replace(TASK, state="succeeded"),)).succeeded


def test_a_table_escapes_what_tasks_say_and_shows_the_newest() -> None:
    tasks = tuple(replace(TASK, id=number) for number in range(1, 61))
    html = RunResult(2, "<i>", tasks)._repr_html_()
    assert "<b>" not in html
    assert "<i>" not in html
    assert "10 older tasks are not shown" in html
    assert "<td>60</td>" in html
    assert "<td>10</td>" not in html


def test_tasks_gpus_and_pools_are_tuples_that_are_tables_in_notebooks() -> None:
    gpu = gpu_of({**GPU_VIEW, "name": "<b>"})
    pool = pool_of({**POOL_VIEW, "name": "host/<b>"})
    for table, shown in ((Tasks([TASK]), "1 failed"), (Gpus([gpu]), "1 GPUs"), (Pools([pool]), "1 pools")):
        assert isinstance(table, tuple)
        html = table._repr_html_()
        assert shown in html
        assert "<b>" not in html
    assert Tasks()._repr_html_().startswith("<p>no tasks</p>")


def test_one_task_tells_what_is_known_of_it_and_nothing_else() -> None:
    html = replace(TASK, name="<i>", command=("echo", "<b>"), outcome=None)._repr_html_()
    assert "<i>" not in html
    assert "echo &lt;b&gt;" in html
    assert "outcome" not in html


def test_a_pool_that_cools_says_until_when() -> None:
    pool = pool_of(POOL_VIEW | {"state": "cooling", "until": "2026-01-02T03:04:05.000Z"})
    assert pool.until == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert "2026-01-02 03:04:05" in Pools([pool])._repr_html_()


def test_a_frame_has_columns_for_parameters_and_metrics() -> None:
    frame = RunResult(2, "r", (TASK, replace(TASK, id=8, params=None, metrics=None))).to_pandas()
    assert list(frame["id"]) == [7, 8]
    assert frame.loc[0, ["params.lr", "metrics.loss", "seconds"]].tolist() == [0.1, 0.5, 1.5]


def test_without_pandas_one_sentence_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(PassloopError, match=r"pip install 'passloop\[pandas\]'"):
        RunResult(2, "r", (TASK,)).to_pandas()


def test_every_field_of_a_task_is_described_by_a_type() -> None:
    assert all(Task.__annotations__.values())
