"""The views of a matrix whose results lie on a disk that does not answer."""

from __future__ import annotations

import asyncio
from pathlib import Path

from passloop.apps.bench.planned import PLAN
from passloop.engine.reading import THREADS
from tests.support.served import served
from tests.support.stuck_folders import stuck_folder


async def test_a_matrix_whose_results_do_not_answer_stops_no_read_and_no_end_of_the_engine(tmp_path: Path) -> None:
    with stuck_folder(tmp_path / "gone", PLAN) as gone:
        async with asyncio.timeout(30), served(tmp_path / "home") as one:
            await one.submit(name="stuck", about={"kind": "bench", "out": str(gone)})
            one.rig.engine.outside.limit = 0
            for path in ["", "/a-cell", "/a-cell/samples"] * THREADS:
                reply = await one.get(f"/runs/stuck/bench{path}")
                assert reply.status == 503
                assert f"{gone} does not answer" in reply.json()["error"]["message"]
            assert (await one.get("/tasks?limit=1")).status == 200


async def test_a_matrix_without_results_is_told_by_its_tasks(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit(name="gone", about={"kind": "bench", "out": str(tmp_path / "nowhere")})
        assert (await one.get("/runs/gone/bench")).json()["counts"]["total"] == 0
        reply = await one.get("/runs/gone/bench/a-cell")
        assert (reply.status, reply.json()["error"]["message"]) == (404, "the matrix has no such cell")
