"""The table of tasks as the page reads it: filters, counts, orders, pages, groups; and what a text may find."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.served import Served, served


async def table(one: Served, query: str = "") -> dict[str, Any]:
    reply = await one.get(f"/table?{query}")
    assert reply.status == 200, reply.body
    return dict(reply.json())


async def ids(one: Served, query: str = "") -> list[int]:
    return [line["id"] for line in (await table(one, query))["lines"]]


async def some_tasks(one: Served) -> None:
    """Tasks 1 and 2 run, 3 waits; 4 and 5 are of another run, held, in a group below `lab`."""
    await one.submit(3, name="first")
    tasks = [
        {
            "command": ["train", "--data", "50%_off", "ärger"],
            "name": "größer",
            "key": "a/1",
            "env": {"MY_TOKEN": "hidden-word"},
        },
        {"command": ["evaluate"], "name": "later", "key": "b/1"},
    ]
    body = {"tasks": tasks, "cwd": "/", "name": "second", "group": "lab/fast", "priority": 5, "held": True}
    assert (await one.post("/submit", body)).status == 200
    await one.rig.heard()


async def test_a_page_has_the_newest_first_and_counts_all(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await some_tasks(one)
        found = await table(one, "limit=2")
        assert [line["id"] for line in found["lines"]] == [5, 4]
        assert (found["total"], found["offset"]) == (5, 0)
        assert found["states"] == {"running": 2, "ready": 1, "held": 2}
        assert found["seq"] == one.rig.store.last_seq
        assert await ids(one, "limit=2&offset=4") == [1]
        assert await ids(one, "offset=5") == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("state=ready", [3]),
        ("state=ready&state=held", [5, 4, 3]),
        ("run=second", [5, 4]),
        ("run=1&state=running", [2, 1]),
        ("group=lab/fast", [5, 4]),
        ("group=lab", [5, 4]),
        ("group=l", []),
        ("group=lab/f", []),
        ("key=a*", [4]),
        ("select=2-4&select=state:held", [4]),
        ("sort=oldest&limit=2", [1, 2]),
        ("sort=priority", [4, 5, 1, 2, 3]),
        ("text=later", [5]),
        ("text=LATER", [5]),
        ("text=%20evalu", [5]),
        ("text=a/1", [4]),
        ("text=TRAIN%20--data%2050", [4]),
        ("text=data%20%2050", []),
        ("text=%C3%A4rger", [4]),
        ("text=off%20%C3%A4r", [4]),
        ("text=%22%2C%22", []),
        ("text=%2C", []),
        ("text=%5B", []),
        ("text=50%25_off", [4]),
        ("text=gr%C3%B6%C3%9F", [4]),
        ("text=%25", [4]),
        ("text=_off", [4]),
        ("text=hidden-word", []),
        ("text=MY_TOKEN", []),
        ("text=e&state=held&sort=oldest", [4, 5]),
    ],
)
async def test_a_filter_chooses_exactly_these(tmp_path: Path, query: str, expected: list[int]) -> None:
    async with served(tmp_path) as one:
        await some_tasks(one)
        found = await table(one, query)
        assert [line["id"] for line in found["lines"]] == expected
        if "limit" not in query:
            assert found["total"] == len(expected)


async def test_states_are_counted_without_the_filter_of_states(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await some_tasks(one)
        for text in ("", "text=true&"):
            assert (await table(one, f"{text}run=1&state=ready"))["states"] == {"running": 2, "ready": 1}


async def test_what_ended_last_comes_first_if_asked(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit(2)
        await one.rig.heard()
        for task in (2, 1):
            one.rig.clock.advance(1_000)
            one.rig.driver.finish_task(task)
            await one.rig.heard()
        assert await ids(one, "sort=ended") == [1, 2]


async def test_a_line_is_short_and_has_no_environment(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        body = {"tasks": [{"command": ["echo", "x" * 5_000], "env": {"A": "B"}}], "cwd": "/"}
        await one.post("/submit", body)
        (line,) = (await table(one))["lines"]
        assert line["command"].startswith("echo xxx")
        assert len(line["command"]) == 300
        assert not {"results", "request", "env", "cwd"} & set(line)


@pytest.mark.parametrize(
    "query", ["limit=501", "limit=-1", "offset=-1", "sort=random", "state=done", "text=" + "x" * 201]
)
async def test_what_cannot_be_asked_is_refused(tmp_path: Path, query: str) -> None:
    async with served(tmp_path) as one:
        reply = await one.get(f"/table?{query}")
        assert (reply.status, reply.json()["error"]["exit"]) == (400, 2)


async def test_groups_tell_their_tasks_and_whether_they_are_held(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await some_tasks(one)
        await one.post("/groups/lab/hold")
        assert (await one.get("/groups")).json()["groups"] == [
            {"name": "default", "held": False, "counts": {"running": 2, "ready": 1}},
            {"name": "lab", "held": True, "counts": {}},
            {"name": "lab/fast", "held": False, "counts": {"held": 2}},
        ]
