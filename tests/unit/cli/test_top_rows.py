"""The rows of the terminal screen: what pools tell, and where a task runs."""

from __future__ import annotations

from typing import Any

from passloop.cli.top_rows import pool_rows, running_rows


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
