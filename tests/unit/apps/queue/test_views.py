"""What people are shown has the documented fields, with times in UTC and exact amounts."""

from __future__ import annotations

import json
from dataclasses import replace

from passloop.apps.queue.views import (
    attempt_view,
    document,
    gpu_view,
    pool_view,
    request_view,
    run_view,
    shown_task,
    task_view,
    why_view,
)
from passloop.kernel.blockers import Blocker, BlockerCode
from passloop.kernel.events import Foreign
from passloop.kernel.ids import PoolName, TaskId
from passloop.kernel.overview import DeviceView, PoolView
from passloop.kernel.resources import DeviceAsk, Variant
from passloop.kernel.tasks import Dependency, DeviceUse, Growth, RunRow
from passloop.store.reader import RunView, TaskView
from tests.support.store_rows import ALLOCATION, SPEC, a_full_task, a_task, an_attempt, an_end

PAYLOAD = json.dumps(
    {"name": "train", "command": ["python", "x.py"], "cwd": "/w", "env": {"B": "secret", "A": "1"}, "params": {"d": 2}}
)
DOCUMENTED = {
    "id", "key", "run", "name", "group", "state", "attempt", "exit_code", "outcome", "priority", "submitted_at",
    "started_at", "ended_at", "gpus", "request", "results", "command", "cwd", "after", "retried_by",
}  # fmt: skip


def a_view(**fields: object) -> TaskView:
    values: dict[str, object] = {
        "row": a_full_task(7),
        "run_name": "digits",
        "spec": SPEC,
        "after": (Dependency(TaskId(3)), Dependency(TaskId(4), any_end=True)),
        "payload": PAYLOAD,
        "results": '{"accuracy": 0.9}',
        "latest": an_attempt(1),
    }
    return TaskView(**{**values, **fields})  # type: ignore[arg-type]


def test_a_task_has_the_documented_fields() -> None:
    view = task_view(a_view())
    assert set(view) >= DOCUMENTED
    assert view["run"] == {"id": 1, "name": "digits"}
    assert (view["name"], view["command"], view["cwd"], view["params"]) == ("train", ["python", "x.py"], "/w", {"d": 2})
    assert (view["state"], view["outcome"], view["exit_code"]) == ("backoff", "out_of_memory", -9)
    assert view["submitted_at"] == "1970-01-01T00:00:01.000Z"
    assert view["started_at"] == "1970-01-01T00:00:00.010Z"
    assert view["gpus"] == [grant.uuid for grant in ALLOCATION.devices]
    assert view["results"] == {"accuracy": 0.9}
    assert (view["after"], view["after_any"], view["retried_by"]) == ([3], [4], 13)
    json.dumps(view)


def test_a_task_that_never_ran_has_nothing_where_nothing_is() -> None:
    view = task_view(a_view(row=a_task(1), latest=None, results=None, after=()))
    assert (view["gpus"], view["results"], view["started_at"], view["outcome"], view["after"]) == (
        [],
        None,
        None,
        None,
        [],
    )


def test_a_request_is_its_variants() -> None:
    licence = PoolName("licence")
    variants = (
        Variant(
            DeviceAsk(share=2_500, vram_mib=512), ((PoolName("cpu"), 1_500), (licence, 2), (PoolName("memory"), 64))
        ),
        Variant(DeviceAsk(count=2, balance=True)),
        Variant(),
    )
    assert request_view(variants) == [
        {"gpus": 0.25, "vram_mib": 512, "balance": False, "cpus_milli": 1_500, "mem_mib": 64, "need": {"licence": 2}},
        {"gpus": 2, "vram_mib": None, "balance": True, "cpus_milli": 0, "mem_mib": 0, "need": {}},
        {"gpus": 0, "vram_mib": None, "balance": False, "cpus_milli": 0, "mem_mib": 0, "need": {}},
    ]


def test_show_adds_attempts_and_never_the_value_of_a_variable() -> None:
    view = shown_task(a_view(), [an_end(1)], folders={1: "/home/runs/1/7/1"})
    (attempt,) = view["attempts"]
    assert attempt["directory"] == view["directory"] == "/home/runs/1/7/1"
    assert attempt["cpus_milli"] == 1_500
    assert attempt["gpus"] == ["GPU-0"]
    assert attempt["outcome"] is not None
    assert view["env"] == ["A", "B"]
    assert "secret" not in json.dumps(view)
    assert view["time_limit_ms"] == 60_000


def test_what_was_seen_of_an_attempt_is_told_with_it_and_else_nothing() -> None:
    end = an_end(1)
    assert end.outcome is not None
    assert "device_use" not in attempt_view(end)
    seen = replace(end.outcome, devices=DeviceUse(40, 90, 2_000, 3), growth=Growth(2_100, 7))
    told = {
        "device_use": {"mean_percent": 40, "peak_percent": 90, "peak_mib": 2_000, "reads": 3},
        "growth": {"mib": 2_100, "cells": 7},
    }
    view = a_view()
    for one in (attempt_view(end._replace(outcome=seen)), task_view(view._replace(latest=end._replace(outcome=seen)))):
        assert {name: one[name] for name in told} == told


def test_why_lists_every_blocker() -> None:
    blocker = Blocker(BlockerCode.POOL_BUSY, "gpu", 2, 1, (3,), 5_000, "needs 2 GPUs, 1 free; held by task 3")
    assert why_view(a_task(1), [blocker]) == {
        "schema_version": 1,
        "task": 1,
        "state": "ready",
        "blockers": [
            {
                "code": "pool_busy",
                "pool": "gpu",
                "need": 2,
                "free": 1,
                "holders": [3],
                "until": "1970-01-01T00:00:05.000Z",
                "sentence": "needs 2 GPUs, 1 free; held by task 3",
            }
        ],
    }


def test_a_device_and_a_pool_have_the_documented_fields() -> None:
    device = DeviceView(
        0, "GPU-1", "H", 100, 40, 5_000, "vetoed", (3,), None, (Foreign(7, "ann", "x", 60),), (), "", 5, True
    )
    view = gpu_view(device)
    assert set(view) >= {"index", "uuid", "name", "vram_mib", "free_mib", "state", "holders", "virtual"}
    assert (view["free_share"], view["foreign"][0]["user"]) == (0.5, "ann")
    pool = PoolView("m", "limit", 8, 3, 5, "e", "cooling", 5_000, 6, (1, 2))
    assert pool_view(pool)["state"] == "cooling"
    assert pool_view(pool)["until"] == "1970-01-01T00:00:05.000Z"


def test_a_run_counts_its_tasks() -> None:
    view = run_view(RunView(RunRow(3, "digits", "g", 1_000), '{"kind": "run"}', {"failed": 1, "succeeded": 2}))
    assert (view["tasks"], view["kind"], view["counts"]) == (3, "run", {"failed": 1, "succeeded": 2})


def test_text_that_is_not_json_is_shown_as_nothing() -> None:
    view = task_view(a_view(payload="{", results="nonsense"))
    assert (view["name"], view["command"], view["results"]) == ("", [], None)


def test_every_document_has_a_version() -> None:
    assert document(tasks=[]) == {"schema_version": 1, "tasks": []}
