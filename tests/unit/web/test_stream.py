"""Server-sent events: replayed from the journal, then live; none missed and none twice."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.paged import Paged, paged
from tests.support.served import Served, request_text, served


class Stream:
    """A connection to /events."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, one: Served, query: str = "", **fields: str) -> Stream:
        reader, writer = await one.connect()
        if isinstance(one, Paged):
            said = {"Cookie": await one.cookie(), "Sec_Fetch_Site": "same-origin"}
            writer.write(one.text("GET", f"/api/v1/events{query}", **said, **fields))
        else:
            writer.write(request_text("GET", f"/events{query}", b"", fields))
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head.splitlines()[0]
        assert b"text/event-stream" in head
        return cls(reader, writer)

    async def next(self) -> dict[str, Any]:
        """The next event's data."""
        async with asyncio.timeout(10):
            while not (line := await self._reader.readline()).startswith(b"data:"):
                assert line
        return json.loads(line[5:])

    async def end(self) -> bytes:
        """Everything to the end of the stream."""
        async with asyncio.timeout(10):
            return await self._reader.read()

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


async def test_events_from_now_on_name_tasks_and_states(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit()
        await one.rig.heard()
        stream = await Stream.open(one)
        one.rig.driver.finish_task(1)
        event = await stream.next()
        assert event["tasks"] == [{"id": 1, "state": "succeeded"}]
        assert event["seq"] == one.rig.store.last_seq
        await stream.close()


async def test_last_event_id_replays_what_was_missed_and_goes_on_live(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit(3)
        await one.rig.heard()
        stream = await Stream.open(one, Last_Event_ID="0")
        seen = [(await stream.next())["seq"] for _ in range(one.rig.store.last_seq)]
        assert seen == list(range(1, one.rig.store.last_seq + 1))
        one.rig.driver.finish_task(1)
        assert (await stream.next())["seq"] == seen[-1] + 1
        await stream.close()


@pytest.mark.parametrize("form", ["tasks", "ranges"])
async def test_a_number_beyond_the_journal_is_told_to_start_anew(tmp_path: Path, form: str) -> None:
    async with served(tmp_path) as one:
        await one.submit()
        await one.rig.heard()
        last = one.rig.store.last_seq
        stream = await Stream.open(one, f"?form={form}", Last_Event_ID=str(last + 5_000))
        event = await stream.next()
        assert (event["anew"], event["seq"], event["tasks"], event["ranges"]) == (True, last, [], [])
        assert {"tasks", "devices", "pools", "sources", "groups", "engine"} == set(event["touches"])
        one.rig.driver.finish_task(1)
        assert (await stream.next())["seq"] == last + 1
        await stream.close()
        stream = await Stream.open(one, f"?form={form}", Last_Event_ID=str(last))
        assert "anew" not in await stream.next()
        await stream.close()


async def test_a_removal_is_told_at_once_and_no_number_is_beyond_the_journal_then(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await one.submit(2)
        one.rig.driver.finish_task(1)
        await one.rig.heard()
        stream = await Stream.open(one, "?form=ranges")
        assert (await one.post("/tasks/rm", {"select": ["1"]})).json()["changed"] == [1]
        last = one.rig.store.last_seq
        while (event := await stream.next())["seq"] < last:
            pass
        assert (event["seq"], event["ranges"], event["runs"]) == (last, [], [])
        await stream.close()
        stream = await Stream.open(one, Last_Event_ID=str(last))
        one.rig.driver.finish_task(2)
        assert "anew" not in await stream.next()
        await stream.close()


async def test_many_followers_see_the_same(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        streams = [await Stream.open(one, Last_Event_ID="0") for _ in range(8)]
        await one.submit()
        numbers = [[(await stream.next())["seq"] for _ in range(2)] for stream in streams]
        assert all(seen == [1, 2] for seen in numbers)
        for stream in streams:
            await stream.close()


async def test_a_stream_ends_when_the_engine_does(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        stream = await Stream.open(one)
        one.rig.engine.hang_up()
        assert await stream.end() is not None
        await stream.close()


async def test_a_number_that_is_none_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        reply = await one.ask("GET", "/events", Last_Event_ID="soon")
        assert (reply.status, reply.json()["error"]["exit"]) == (400, 2)


async def test_a_browser_that_is_cut_off_again_and_again_sees_every_turn_once(tmp_path: Path) -> None:
    async with paged(tmp_path) as one:
        seen: list[int] = []
        for cut in range(1, 6):
            stream = await Stream.open(one, "?form=ranges", Last_Event_ID=str(seen[-1] if seen else 0))
            await one.submit(cut)
            await one.rig.heard()
            seen += [(await stream.next())["seq"] for _ in range(min(cut, one.rig.store.last_seq - len(seen)))]
            await stream.close()
        stream = await Stream.open(one, "?form=ranges", Last_Event_ID=str(seen[-1]))
        seen += [(await stream.next())["seq"] for _ in range(one.rig.store.last_seq - len(seen))]
        await stream.close()
        assert seen == list(range(1, one.rig.store.last_seq + 1))


async def test_a_stream_goes_on_where_it_was_after_the_engine_was_replaced(tmp_path: Path) -> None:
    async with paged(tmp_path) as one:
        await one.submit()
        await one.rig.heard()
        stream = await Stream.open(one, Last_Event_ID="0")
        last = [(await stream.next())["seq"] for _ in range(one.rig.store.last_seq)][-1]
        await stream.close()
    async with paged(tmp_path) as one:
        await one.submit()
        stream = await Stream.open(one, Last_Event_ID=str(last))
        assert (await stream.next())["seq"] == last + 1
        await stream.close()


async def test_ranges_name_new_runs_and_what_may_look_different(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        stream = await Stream.open(one, "?form=ranges")
        here = await stream.next()
        assert (here["seq"], here["ranges"], here["touches"]) == (one.rig.store.last_seq, [], [])
        await one.submit(1_000)
        event = await stream.next()
        assert (event["ranges"][0], event["runs"]) == ([1, 2, "admitted"], [1])
        assert sum(size for _, size, _ in event["ranges"]) == 1_000
        assert event["touches"] == ["devices", "pools", "tasks"]
        await one.post("/groups/lab/hold")
        while "groups" not in event["touches"]:
            event = await stream.next()
        assert event["runs"] == []
        await stream.close()


async def test_a_lost_stream_is_asked_for_again_after_a_second(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        reader, writer = await one.connect()
        writer.write(request_text("GET", "/events", b"", {}))
        assert b"retry: 1000" in await reader.readuntil(b": passloop")
        writer.close()
        await writer.wait_closed()


async def test_marks_say_only_how_far_the_journal_is_however_many_turns_there_were(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        for _ in range(5):
            await one.submit()
        await one.rig.heard()
        last = one.rig.store.last_seq
        stream = await Stream.open(one, "?form=marks", Last_Event_ID="0")
        assert await stream.next() == {"seq": last}
        one.rig.driver.finish_task(1)
        assert (await stream.next())["seq"] > last
        one.rig.engine.hang_up()
        assert b"data" not in await stream.end()
        await stream.close()
