"""The rows of the terminal screen: what pools tell, and where a task runs."""

from __future__ import annotations

from typing import Any

import pytest

from passloop.cli.top_rows import ACROSS, gpu_rows, headline, pool_rows, room_for_strips, running_rows


def pool(name: str, *, used: int = 0, capacity: int = 4, state: str = "open") -> dict[str, Any]:
    return {"name": name, "used": used, "capacity": capacity, "state": state, "until": None}


def line(**changes: object) -> dict[str, Any]:
    told = {"id": 1, "name": "one", "command": "", "state": "running", "started_at": None, "ended_at": None}
    return {**told, "gpus": [], "pools": [], "until": None, **changes}


def test_amounts_are_those_that_people_read() -> None:
    cpu, memory = pool("cpu", used=1_500, capacity=16_000), pool("memory", used=512, capacity=24_064)
    assert [row[1][1] for row in pool_rows({"pools": [cpu, memory]})] == ["1.5 of 16", "0.5 GiB of 23.5 GiB"]


def test_a_pool_without_a_known_limit_or_of_an_ended_run_is_left_out_until_it_is_closed() -> None:
    rates = [pool("h/m:tokens", capacity=1_000_000_000), pool("h/m:requests", capacity=1_000_000_000, state="cooling")]
    runs = [pool("trials:a:1"), pool("parallel/b", used=1), pool("trials:c:2", state="dead")]
    found = [key for key, _ in pool_rows({"pools": [*rates, *runs, pool("h/m")]})]
    assert found == ["h/m:requests", "parallel/b", "trials:c:2", "h/m"]


def test_a_call_runs_at_its_model_and_other_work_on_gpus_or_cpus() -> None:
    told = [line(pools=["h/v1/m", "h/v1"]), line(gpus=["GPU-a", "GPU-b"], pools=["cpu"]), line(pools=["cpu", "memory"])]
    assert [row[1][-1] for row in running_rows({"running": told})] == ["m", "2 GPUs", "CPU"]


def test_a_limit_of_the_run_is_not_where_its_task_runs() -> None:
    told = [line(pools=["cpu", "parallel/few"]), line(pools=["parallel/few", "h/v1/m"])]
    assert [row[1][-1] for row in running_rows({"running": told})] == ["CPU", "m"]


def gpu(number: int) -> dict[str, Any]:
    return {
        "index": number,
        "uuid": f"GPU-{number}",
        "holders": [number],
        "vram_mib": 81_920,
        "free_mib": 0,
        "virtual": True,
    }


@pytest.mark.parametrize(("width", "least"), [(60, 15), (80, 30), (200, ACROSS)])
def test_the_newest_end_of_a_strip_is_on_the_screen(width: int, least: int) -> None:
    now = {"gpus": [gpu(number) for number in range(8)]}
    lane = {"id": "h", "kind": "pool", "label": "127.0.0.1:18080/v1@KEY/some-model", "bars": [], "gaps": []}
    across = room_for_strips(width, now)
    rows = gpu_rows(now, {"from": 0, "to": 900, "lanes": [lane]}, across=across)
    assert across >= least
    assert sum(max(len(cells[at]) for _, cells in rows) + 2 for at in range(4)) <= width
    assert rows[-1][1][0] == "~/some-model"


def test_the_first_line_begins_with_what_lives_and_says_that_gpus_are_pretended() -> None:
    engine = {"state": "running", "home": "/h"}
    counts = {"aborted": 2, "failed": 0, "ready": 1, "running": 3}
    told = headline({"engine": engine, "counts": counts, "gpus": [gpu(0)]})
    assert told == "running  virtual GPUs  3 running, 1 ready, 2 aborted  /h"
