"""The routes of leases: what is refused, and what a program that is not ours may ask."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.drivers.identity import own_process
from tests.support.served import served

ME = {"pid": own_process().pid, "ticks": own_process().ticks}


@pytest.mark.parametrize(
    "wrong",
    [
        {"gpus": 0},
        {"gpus": 1, "pid": 0},
        {"gpus": 1, "limit": "cpu"},
        {"gpus": 1, "owner": "7"},
        {"gpus": 1, "group": "a b"},
        {"gpus": 1, "key": ""},
        {"gpus": 1, "vram_mib": -1},
        {"gpus": 1, "unknown": True},
        {},
    ],
)
async def test_what_cannot_be_is_refused(tmp_path: Path, wrong: dict[str, object]) -> None:
    async with served(tmp_path) as one:
        reply = await one.post("/leases", ME | wrong)
        assert (reply.status, reply.json()["error"]["exit"]) == (400, 2)


async def test_what_never_fits_is_refused_as_such(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        reply = await one.post("/leases", ME | {"gpus": 1})
        assert (reply.status, reply.json()["error"]["code"]) == (409, "never_fits")


async def test_only_leases_are_found_under_leases(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        (task,) = await one.submit()
        for number in (task, 99):
            assert (await one.get(f"/leases/{number}")).status == 404
            assert (await one.post(f"/leases/{number}/release")).status == 404
        assert one.rig.outside.live, "the task runs on"


async def test_a_limit_is_made_and_resized_by_its_number(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        for capacity in (3, 1):
            assert (await one.post("/leases/limits/1", {"capacity": capacity})).json()["limit"] == "leases-1"
            (pool,) = [pool for pool in (await one.get("/pools")).json()["pools"] if pool["name"] == "leases-1"]
            assert (pool["kind"], pool["capacity"]) == ("limit", capacity)
        assert (await one.post("/leases/limits/0", {"capacity": 1})).status == 400
        assert (await one.post("/leases/limits/1", {"capacity": 0})).status == 400
