"""The routes of /api/v1: shapes, changes, errors. Over the real socket, with the real store."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from passloop.kernel.events import DeviceSeen, DevicesSeen
from passloop.kernel.tasks import Outcome, OutcomeKind
from passloop.store.errors import StoreDamaged
from passloop.web.listing import PIECE
from passloop.web.read_models import LOOKED_UP
from tests.support.served import served

FAILED = Outcome(kind=OutcomeKind.FAILURE, exit_code=3)


async def test_submit_answers_run_and_ids_in_order(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        body = {"name": "digits", "cwd": "/", "tasks": [{"command": ["true"], "key": "a"}, {"command": ["ls"]}]}
        first = await one.post("/submit", body)
        assert first.json() == {
            "schema_version": 1, "run": {"id": 1, "name": "digits"}, "tasks": [1, 2], "existing": [],
        }  # fmt: skip
        again = (await one.post("/submit", body)).json()
        assert (again["run"]["id"], again["tasks"], again["existing"]) == (2, [1, 3], [1])


async def test_the_environment_and_the_command_reach_the_driver(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        task = {"command": ["echo", "{x}"], "env": {"B": "2"}}
        await one.post("/submit", {"tasks": [task], "cwd": "/srv", "environment": {"A": "1"}})
        order = one.rig.outside.live[one.rig.outside.attempt_of(1)]
        assert dict(order.environment) == {"A": "1", "B": "2"}
        assert (order.payload["command"], order.payload["cwd"]) == (["echo", "{x}"], "/srv")
        assert order.name == f"{one.rig.store.home_id}-1"
        assert order.directory == one.rig.home.runs / "1" / "1" / "1"


async def test_environments_that_differ_have_different_ids(tmp_path: Path) -> None:
    async with served(tmp_path, cpus=4) as one:
        tasks = [{"command": ["a"], "env": {"B": "1"}}, {"command": ["a"], "env": {"B": "2"}}, {"command": ["a"]}]
        await one.post("/submit", {"tasks": tasks, "cwd": "/", "environment": {"A": "1"}})
        orders = [one.rig.outside.live[one.rig.outside.attempt_of(task)] for task in (1, 2, 3)]
        assert len({order.environment_id for order in orders}) == 3


async def test_tasks_are_listed_by_selector_limit_and_page(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit(30)
        page = (await one.get("/tasks?limit=5&before=20")).json()
        assert ([task["id"] for task in page["tasks"]], page["total"]) == ([15, 16, 17, 18, 19], 30)
        some = (await one.get("/tasks?select=3-4&select=7&state=ready")).json()
        assert [task["id"] for task in some["tasks"]] == [3, 4, 7]
        assert len((await one.get("/tasks")).json()["tasks"]) == 30


async def test_a_long_list_comes_in_pieces_and_is_whole(tmp_path: Path) -> None:
    count = 2 * PIECE + 7
    async with served(tmp_path) as one:
        await one.submit(count)
        whole = await one.get("/tasks")
        assert (whole.fields["transfer-encoding"], whole.fields["content-type"]) == ("chunked", "application/json")
        assert [task["id"] for task in whole.json()["tasks"]] == list(range(1, count + 1))
        assert whole.json()["total"] == count
        some = (await one.get(f"/tasks?limit={PIECE + 1}&before=900")).json()
        assert ([some["tasks"][0]["id"], some["tasks"][-1]["id"]], some["total"]) == ([899 - PIECE, 899], count)
        assert len(some["tasks"]) == PIECE + 1
        page = (await one.get("/tasks?limit=1")).json()
        assert page["tasks"] == whole.json()["tasks"][-1:]
        assert (await one.get("/tasks?state=failed")).json() == {"schema_version": 1, "tasks": [], "total": 0}
        assert (await one.get("/tasks?select=@nobody")).status == 404


async def test_waiting_for_many_tasks_tells_each_once(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        ids = await one.submit(LOOKED_UP + 3)
        told = (await one.get(f"/wait?select=1-{ids[-1]}&timeout_ms=0")).json()
        assert (told["final"], [task["id"] for task in told["tasks"]]) == (False, ids)


async def test_one_task_is_shown_with_its_attempts_and_folder(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit()
        one.rig.driver.finish_task(1, FAILED)
        await one.rig.heard()
        shown = (await one.get("/tasks/1")).json()["task"]
        assert (shown["state"], shown["exit_code"], shown["outcome"]) == ("failed", 3, "failure")
        assert shown["attempts"][0]["directory"] == str(one.rig.home.runs / "1/1/1")


async def test_why_names_the_holder_of_what_is_missing(tmp_path: Path) -> None:
    async with served(tmp_path, cpus=1) as one:
        await one.submit(2)
        why = (await one.get("/tasks/2/why")).json()
        assert (why["task"], why["state"]) == (2, "ready")
        assert [blocker["code"] for blocker in why["blockers"]] == ["pool_busy"]
        assert why["blockers"][0]["holders"] == [1]


async def test_cancel_says_what_it_changed_and_why_not_the_rest(tmp_path: Path) -> None:
    async with served(tmp_path, cpus=1) as one:
        await one.submit(3)
        one.rig.driver.finish_task(1)
        await one.rig.heard()
        done = (await one.post("/tasks/cancel", {"select": ["1-3"], "reason": "no longer wanted"})).json()
        assert done["changed"] == [2, 3]
        assert done["unchanged"] == [{"task": 1, "reason": "it has succeeded already"}]


async def test_hold_release_and_priority(tmp_path: Path) -> None:
    async with served(tmp_path, cpus=1) as one:
        await one.submit(3)
        assert (await one.post("/tasks/hold", {"select": ["2"]})).json()["changed"] == [2]
        assert (await one.get("/tasks/2")).json()["task"]["state"] == "held"
        assert (await one.post("/tasks/release", {"select": ["2"]})).json()["changed"] == [2]
        assert (await one.post("/tasks/priority", {"select": ["3"], "priority": 5})).json()["changed"] == [3]
        one.rig.driver.finish_task(1)
        await one.rig.heard()
        assert (await one.get("/tasks/3")).json()["task"]["state"] == "running"


async def test_a_group_is_held_and_released(tmp_path: Path) -> None:
    async with served(tmp_path, cpus=1) as one:
        await one.submit(3, group="team/night")
        assert (await one.post("/groups/team%2Fnight/hold")).json()["changed"] == [1, 2, 3]
        assert (await one.post("/groups/team%2Fnight/release")).json()["changed"] == [1, 2, 3]


async def test_retry_and_rm(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit(2)
        folder = one.rig.home.runs / "1/1/1"
        folder.mkdir(parents=True)
        one.rig.driver.finish_task(1, FAILED)
        await one.rig.heard()
        retried = (await one.post("/tasks/retry", {"select": ["state:failed"]})).json()
        assert (retried["changed"], retried["created"]) == ([1], [3])
        removed = (await one.post("/tasks/rm", {"select": ["1-2"]})).json()
        assert (removed["changed"], removed["unchanged"]) == ([1], [{"task": 2, "reason": "it is running"}])
        assert not folder.parent.exists()
        assert (await one.get("/tasks/1")).status == 404


async def test_wait_is_answered_by_the_end_of_the_tasks(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit()
        early = (await one.get("/wait?select=1&timeout_ms=0")).json()
        assert early["final"] is False
        waiting = asyncio.ensure_future(one.get("/wait?select=1&timeout_ms=20000"))
        one.rig.driver.finish_task(1, FAILED)
        late = (await waiting).json()
        assert late["final"] is True
        assert late["tasks"] == [{"id": 1, "state": "failed", "exit_code": 3, "outcome": "failure"}]


async def test_a_log_is_given_by_range_as_bytes(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit()
        folder = one.rig.home.runs / "1/1/1"
        folder.mkdir(parents=True)
        (folder / "stdout.log").write_bytes(b"<b>0123456789\xff")
        part = await one.get("/tasks/1/log?offset=3&limit=4")
        assert (part.body, part.fields["x-log-size"]) == (b"0123", "14")
        assert part.fields["content-type"] == "application/octet-stream"
        assert (await one.get("/tasks/1/log?stream=stderr")).body == b""
        assert (await one.get("/tasks/1/log?attempt=2")).status == 404
        assert (await one.get("/tasks/1/log?stream=../../store.sqlite")).status == 400


async def test_runs_pools_gpus_and_status(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit(3, name="sweep")
        assert (await one.get("/runs")).json()["runs"][0]["name"] == "sweep"
        assert (await one.get("/runs/sweep")).json()["run"]["tasks"] == 3
        pools = {pool["name"]: pool for pool in (await one.get("/pools")).json()["pools"]}
        assert (pools["cpu"]["capacity"], pools["cpu"]["used"]) == (2_000, 2_000)
        assert (await one.get("/gpus")).json()["gpus"] == []
        status = (await one.get("/status")).json()["engine"]
        assert (status["state"], status["page"], status["home"]) == ("running", None, str(one.rig.home.path))


async def test_down_drains_and_the_host_ends(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit()
        assert (await one.post("/down", {"mode": "drain"})).status == 202
        ending = asyncio.ensure_future(one.host.wait_down())
        await one.rig.until(lambda: one.rig.engine.status().state == "draining")
        one.rig.driver.finish_task(1)
        await ending


async def test_leave_overtakes_a_drain(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit()
        await one.post("/down", {"mode": "drain"})
        await one.post("/down", {"mode": "leave"})
        await one.host.wait_down()
        assert len(one.rig.outside.live) == 1


BAD = [
    ("GET", "/tasks/99", None, 404, 3),
    ("GET", "/tasks/99/why", None, 404, 3),
    ("GET", "/tasks/one", None, 400, 2),
    ("GET", "/tasks?select=nonsense", None, 400, 2),
    ("GET", "/tasks?limit=-1", None, 400, 2),
    ("GET", "/runs/none", None, 404, 3),
    ("GET", "/nowhere", None, 404, 3),
    ("GET", "/wait", None, 400, 2),
    ("DELETE", "/tasks", None, 405, 2),
    ("POST", "/tasks/cancel", {}, 400, 2),
    ("POST", "/tasks/cancel", {"select": ["9"]}, 404, 3),
    ("POST", "/tasks/cancel", {"select": ["1"], "extra": 1}, 400, 2),
    ("POST", "/tasks/priority", {"select": ["1"], "priority": 10**12}, 400, 2),
    ("POST", "/tasks/cancel", b"{", 400, 2),
    ("POST", "/submit", b"not json", 400, 2),
    ("POST", "/submit", {"tasks": []}, 400, 2),
    ("POST", "/submit", {"tasks": [{"command": []}]}, 400, 2),
    ("POST", "/submit", {"tasks": [{"command": ["a\0b"]}]}, 400, 2),
    ("POST", "/submit", {"tasks": [{"command": ["a"]}], "after": [[77, False]]}, 404, 3),
    ("POST", "/submit", {"tasks": [{"command": ["a"]}], "spec": {"request": [{"amounts": {"cpu": 10**9}}]}}, 409, 7),
    ("POST", "/pools/none/open", {}, 404, 3),
    ("POST", "/pools/no/such%2Fone/open", {}, 404, 3),
    ("POST", "/gpus/none/release", {}, 404, 3),
    ("POST", "/down", {"mode": "sideways"}, 400, 2),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status", "exit_code"), BAD)
async def test_every_error_has_code_message_hint_and_exit_code(
    tmp_path: Path, method: str, path: str, body: object, status: int, exit_code: int
) -> None:
    async with served(tmp_path) as one:
        reply = await one.ask(method, path, body)
        assert reply.status == status, reply.body
        error = reply.json()["error"]
        assert set(error) - {"problems"} == {"code", "message", "hint", "exit"}
        assert error["exit"] == exit_code
        assert error["message"]
        assert error["hint"]
        assert "Traceback" not in reply.body.decode()


async def test_the_document_has_absolute_paths_and_every_route(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        document = (await one.get("/openapi.json")).json()
        others = {path for path in document["paths"] if not path.startswith("/api/v1/")}
        assert others == {"/healthz", "/metrics"}
        assert {"/api/v1/submit", "/api/v1/events", "/api/v1/tasks/{task}/log"} <= set(document["paths"])
        json.dumps(document)


async def test_a_bug_is_said_plainly_and_its_story_stays_in_the_engines_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with served(tmp_path) as one:
        one.rig.engine.status = lambda: 1 // 0  # type: ignore[method-assign, assignment, return-value]
        reply = await one.get("/status")
        assert (reply.status, reply.json()["error"]["code"]) == (500, "bug")
        assert "ZeroDivisionError" in reply.json()["error"]["message"]
        assert "Traceback" not in reply.body.decode()
    assert "Traceback" in capsys.readouterr().err


async def test_a_damaged_store_is_said_with_exit_code_4(tmp_path: Path) -> None:
    async with served(tmp_path) as one:

        async def damaged(_ask: object) -> None:
            raise StoreDamaged("a page is not as it was written", hint="passloop doctor --repair")

        one.rig.engine.read = damaged  # type: ignore[method-assign, assignment]
        error = (await one.get("/tasks")).json()["error"]
        assert (error["exit"], error["hint"]) == (4, "passloop doctor --repair")


async def test_a_paused_engine_still_answers_reads_and_says_why_it_takes_nothing(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        one.rig.store._writer.pragma("max_page_count", 1)
        body = {"tasks": [{"command": ["true"]}] * 3_000, "cwd": "/"}
        big = asyncio.ensure_future(one.post("/submit", body))
        await one.rig.until(lambda: one.rig.engine.turns.pause)
        assert (await one.get("/status")).json()["engine"]["state"].startswith("paused: ")
        assert (await one.get("/tasks")).status == 200
        refused = await one.post("/submit", {"tasks": [{"command": ["true"]}], "cwd": "/"})
        assert (refused.status, refused.json()["error"]["code"]) == (503, "paused")
        one.rig.store._writer.pragma("max_page_count", 1_000_000)
        one.rig.alarm.advance(1_000)
        assert (await big).status == 200


async def test_a_quarantined_gpu_is_released_by_a_users_word(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        broken = DeviceSeen("GPU-0", 0, "Virtual", 80_000, 80_000, strays=(7,))
        await one.rig.engine.send(DevicesSeen((broken,)))
        assert (await one.get("/gpus")).json()["gpus"][0]["state"] == "quarantined"
        assert (await one.post("/gpus/GPU-0/release")).status == 200
        assert (await one.get("/gpus")).json()["gpus"][0]["state"] == "available"
