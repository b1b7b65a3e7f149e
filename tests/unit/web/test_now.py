"""The first view and the timeline: what runs, what waits and why, and lanes that say why they are empty."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from passloop.apps.queue.gaps import REASONS
from passloop.kernel.events import DeviceSeen, DevicesSeen, Foreign, PoolDeclared, PoolKind
from passloop.kernel.ids import PoolName
from passloop.kernel.tasks import Outcome, OutcomeKind
from tests.support.served import Served, served

GPU = DeviceSeen(uuid="GPU-a", index=0, name="Test GPU", vram_mib=80_000, usable_mib=80_000)
TAKEN = DeviceSeen(
    uuid="GPU-b",
    index=1,
    name="Test GPU",
    vram_mib=80_000,
    usable_mib=10_000,
    foreign=(Foreign(4242, "bob", "x", 70_000),),
)


async def see(one: Served, *devices: DeviceSeen) -> None:
    one.rig.engine.inbox.put(DevicesSeen(devices))
    await one.rig.heard()


async def submit(one: Served, *, gpus: int = 1, **rest: object) -> int:
    spec = {"request": [{"gpus": gpus}], "task_class": "train", **rest}
    reply = await one.post("/submit", {"tasks": [{"command": ["train"], "spec": spec}], "cwd": "/", "name": "train"})
    assert reply.status == 200, reply.body
    await one.rig.heard()
    return int(reply.json()["tasks"][0])


async def lanes(one: Served, query: str = "") -> dict[str, Any]:
    reply = await one.get(f"/timeline?{query}")
    assert reply.status == 200, reply.body
    return {lane["id"]: lane for lane in reply.json()["lanes"]}


async def test_now_tells_what_runs_until_when_and_what_waits_and_why(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await see(one, GPU)
        running, waiting = await submit(one, time_limit=60_000), await submit(one)
        found = (await one.get("/now")).json()
        assert found["counts"] == {"running": 1, "ready": 1}
        assert found["seq"] == one.rig.store.last_seq
        ((ran,), (waits,)) = found["running"], found["waiting"]
        assert (ran["id"], ran["until"] is not None) == (running, True)
        assert "gpu" not in ran["pools"]
        assert {"cpu", "memory"} >= {*ran["pools"]}
        assert waits["id"] == waiting
        assert waits["blockers"][0]["sentence"] == f"needs 1 GPU, 0 free; held by task {running}"
        assert [gpu["holders"] for gpu in found["gpus"]] == [[running]]
        assert {"cpu", "memory"} <= {pool["name"] for pool in found["pools"]}
        assert found["engine"]["state"] == "running"


async def test_now_has_the_last_failures_first(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit(2)
        await one.rig.heard()
        for task in (2, 1):
            one.rig.clock.advance(1_000)
            one.rig.driver.finish_task(task, Outcome(OutcomeKind.FAILURE, 1))
            await one.rig.heard()
        found = (await one.get("/now?limit=1")).json()
        assert [line["id"] for line in found["failures"]] == [1]


async def test_a_lane_has_its_attempts_and_says_why_nothing_ran(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await see(one, GPU)
        began = one.rig.clock.now()
        one.rig.clock.advance(10_000)
        task = await submit(one)
        one.rig.clock.advance(20_000)
        one.rig.driver.finish_task(task)
        await one.rig.heard()
        one.rig.clock.advance(5_000)
        lane = (await lanes(one, f"from={began}"))["GPU-a"]
        assert (lane["kind"], lane["label"]) == ("gpu", "GPU 0")
        (bar,) = lane["bars"]
        assert (bar["task"], bar["outcome"], bar["count"], bar["end"] - bar["start"]) == (task, "success", 1, 20_000)
        assert [(gap["reason"], gap["end"] - gap["start"]) for gap in lane["gaps"]] == [
            ("idle", 10_000),
            ("idle", 5_000),
        ]


async def test_a_gpu_that_others_use_says_who(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await see(one, GPU, TAKEN)
        one.rig.clock.advance(10_000)
        await submit(one)
        one.rig.clock.advance(10_000)
        found = await lanes(one)
        assert found["GPU-b"]["gaps"][-1]["reason"] == "vetoed"
        assert "pid 4242 (bob)" in found["GPU-b"]["gaps"][-1]["sentence"]
        assert found["GPU-a"]["bars"][-1]["end"] == one.rig.clock.now()


async def test_a_gap_an_hour_ago_says_who_was_on_the_gpu_then(tmp_path: Path) -> None:
    free = replace(TAKEN, foreign=(), usable_mib=80_000)
    async with served(tmp_path) as one:
        await see(one, GPU, free)
        began = one.rig.clock.now()
        one.rig.clock.advance(5_000)
        await see(one, GPU, TAKEN)
        one.rig.clock.advance(7_000)
        await see(one, GPU, TAKEN)
        await see(one, GPU, free)
        one.rig.clock.advance(3_600_000)
        await submit(one)
        lane = (await lanes(one, f"from={began}&to={began + 20_000}"))["GPU-b"]
        assert [(gap["reason"], gap["end"] - gap["start"]) for gap in lane["gaps"]] == [
            ("idle", 5_000),
            ("vetoed", 7_000),
            ("idle", 8_000),
        ]
        assert lane["gaps"][1]["sentence"] == "it was used by pid 4242 (bob), not ours"


async def test_a_gap_in_front_of_blocked_work_says_what_it_needs(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await see(one, GPU, TAKEN)
        waiting = await submit(one, gpus=2, wait_for_capacity=True)
        one.rig.clock.advance(10_000)
        gap = (await lanes(one))["GPU-a"]["gaps"][-1]
        assert gap["reason"] in ("blocked", "reserved")
        assert f"task {waiting}" in gap["sentence"]


async def test_work_that_can_never_fit_blocks_no_gap(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await see(one, GPU, TAKEN)
        began = one.rig.clock.now()
        await submit(one, gpus=9, wait_for_capacity=True)
        one.rig.clock.advance(10_000)
        lane = (await lanes(one, f"from={began}"))["GPU-a"]
        assert [(gap["reason"], gap["sentence"]) for gap in lane["gaps"]] == [("unfit", REASONS["unfit"])]
        other = await submit(one, gpus=2)
        one.rig.clock.advance(10_000)
        gap = (await lanes(one, f"from={began}"))["GPU-a"]["gaps"][-1]
        assert gap["reason"] in ("blocked", "reserved")
        assert f"task {other}" in gap["sentence"]


async def test_an_endpoint_has_a_lane_of_its_own(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.rig.engine.send(PoolDeclared(PoolName("host:1/v1"), PoolKind.LIMIT, 2))
        await one.rig.engine.send(
            PoolDeclared(PoolName("host:1/v1/m"), PoolKind.LIMIT, 2, parent=PoolName("host:1/v1"))
        )
        one.rig.clock.advance(10_000)
        lane = (await lanes(one))["host:1/v1"]
        assert (lane["kind"], lane["bars"], [gap["reason"] for gap in lane["gaps"]]) == ("endpoint", [], ["idle"])


async def test_work_without_a_gpu_is_on_the_cpu_lane(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit(3)
        await one.rig.heard()
        one.rig.clock.advance(5_000)
        lane = (await lanes(one))["cpu"]
        assert (lane["tracks"], len(lane["bars"]), lane["gaps"]) == (2, 2, [])


async def test_a_span_that_is_upside_down_is_an_empty_drawing(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await see(one, GPU)
        assert (await lanes(one, "from=2000&to=1000"))["GPU-a"]["bars"] == []
