"""Runs whose tasks a source brings, over the real socket: what is to come, why no more comes, and what people do."""

from __future__ import annotations

from pathlib import Path

from passloop.engine.expanding import Expansion
from passloop.kernel.events import ExpansionFailed, SourceDeclared
from passloop.kernel.ids import RunId
from passloop.kernel.source_rows import ResidentGuard, SourcePlan, TemplateNode
from tests.support.engines import one_cpu
from tests.support.expanding import ScriptedExpander, unit_of
from tests.support.served import Served, served

CELL = TemplateNode(one_cpu().request, completes=True)


async def matrix(one: Served, *, group: str = "default", **plan: object) -> RunId:
    plan = {"units": 5, "tasks": 10, "guard": ResidentGuard(units=1)} | plan
    event = SourceDeclared("matrix", "scripted", SourcePlan((CELL,), **plan), group=group)  # type: ignore[arg-type]
    return (await one.rig.engine.declare_source(event)).run


def with_expander(one: Served) -> ScriptedExpander:
    expander = ScriptedExpander(lambda ask: Expansion(unit_of(2, first=2 * ask.unit)))
    one.rig.engine.expansions.register("scripted", expander)
    return expander


async def test_a_run_tells_what_is_to_come_and_why_no_more_comes_now(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        with_expander(one)
        run = await matrix(one)
        await one.rig.until(lambda: len(one.rig.outside.live) == 2)
        source = (await one.get(f"/runs/{run}")).json()["run"]["source"]
        assert (source["state"], source["to_come"], source["unfinished"]) == ("open", 8, 1)
        assert (source["tasks"], source["units"]) == ({"done": 2, "of": 10}, {"done": 1, "of": 5})
        assert [blocker["code"] for blocker in source["blockers"]] == ["memory_guard"]
        (listed,) = (await one.get("/runs")).json()["runs"]
        assert listed["source"]["to_come"] == 8


async def test_a_run_of_submitted_tasks_has_no_source(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit(1)
        assert "source" not in (await one.get("/runs/1")).json()["run"]


async def test_cancelling_a_run_cancels_what_is_to_come_of_it(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        with_expander(one)
        run = await matrix(one)
        await one.rig.until(lambda: len(one.rig.outside.live) == 2)
        answer = (await one.post("/tasks/cancel", {"select": [f"@{run}"]})).json()
        assert (answer["sources"], answer["changed"]) == ([run], [1, 2])
        assert await one.rig.engine.wait_source(run)
        source = (await one.get(f"/runs/{run}")).json()["run"]["source"]
        assert (source["state"], source["to_come"], source["blockers"]) == ("cancelled", 0, [])


async def test_a_run_without_a_task_yet_is_held_and_released(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        expander = with_expander(one)
        expander.gate.clear()
        run = await matrix(one)
        await expander.begun.wait()
        for verb, held in (("hold", True), ("release", False)):
            assert (await one.post(f"/tasks/{verb}", {"select": [f"@{run}"]})).json()["sources"] == [run]
            assert (await one.get(f"/runs/{run}")).json()["run"]["source"]["held"] is held


async def test_a_group_alone_means_what_is_to_come_in_it_and_inside_it(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        with_expander(one)
        run = await matrix(one, group="team/night")
        await one.rig.until(lambda: len(one.rig.outside.live) == 2)
        for words in (["group:team", "state:running"], ["1-2", "group:team"], ["group:tea"]):
            assert "sources" not in (await one.post("/tasks/hold", {"select": words})).json(), words
        answer = (await one.post("/tasks/cancel", {"select": ["group:team"]})).json()
        assert (answer["sources"], answer["changed"]) == ([run], [1, 2])


async def test_a_part_of_a_run_is_not_its_source(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        with_expander(one)
        run = await matrix(one)
        await one.rig.until(lambda: len(one.rig.outside.live) == 2)
        for words in ([f"@{run}", "state:running"], ["1-2"]):
            assert "sources" not in (await one.post("/tasks/hold", {"select": words})).json()


async def test_retrying_a_run_lets_its_failed_source_go_on(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        expander = with_expander(one)
        expander.gate.clear()
        run = await matrix(one)
        await expander.begun.wait()
        one.rig.engine.inbox.put(ExpansionFailed(run, 0, "no such file"))
        await one.rig.heard()
        assert (await one.get(f"/runs/{run}")).json()["run"]["source"]["message"] == "unit 0: no such file"
        expander.gate.set()
        assert (await one.post("/tasks/retry", {"select": [f"@{run}"]})).json()["sources"] == [run]
        await one.rig.until(lambda: len(one.rig.outside.live) == 2)
