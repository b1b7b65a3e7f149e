"""What hangs on one task: its variables, curves, files, log as it grows, and its turns in the journal."""

from __future__ import annotations

import asyncio
import errno
import os
from pathlib import Path
from typing import Any

import pytest

from passloop.store.samples import Sample
from passloop.web.app import make_app
from passloop.web.following import Followed, follow_log, read_log
from tests.support.served import Served, chunks, request_text, served

OUTSIDE = (
    "../start.json",
    "../../1/out/x",
    "/etc/passwd",
    "%2e%2e/start.json",
    "..%2fstart.json",
    "a/../../start.json",
)


async def running(one: Served, **task: object) -> Path:
    """One task that runs, and the folder of its attempt."""
    body = {"tasks": [{"command": ["train"], **task}], "cwd": "/", "environment": {"PATH": "/bin", "HF_TOKEN": "x"}}
    assert (await one.post("/submit", body)).status == 200
    await one.rig.heard()
    folder = one.rig.home.runs / "1" / "1" / "1"
    (folder / "out").mkdir(parents=True, exist_ok=True)
    return folder


async def test_variables_that_look_secret_have_no_value(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await running(one, env={"API_KEY": "hidden", "LR": "0.1", "DATABASE_URL": "postgres://me:hidden@host/db"})
        told = {each["name"]: each["value"] for each in (await one.get("/tasks/1/environment")).json()["variables"]}
        assert told == {
            "API_KEY": None,
            "HF_TOKEN": None,
            "LR": "0.1",
            "PATH": "/bin",
            "DATABASE_URL": "postgres://me:***@host/db",
        }


async def test_curves_have_a_column_for_each_figure(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await running(one)
        samples = [Sample(1, at, "GPU-a", at, 10 * at, 1_500 * at) for at in (1, 2)]
        await one.rig.engine.writer.run(lambda store: store.record_samples(samples))
        (device,) = (await one.get("/tasks/1/curves")).json()["devices"]
        assert device == {
            "uuid": "GPU-a",
            "at": [1, 2],
            "utilisation": [1, 2],
            "memory_mib": [10, 20],
            "power_w": [1.5, 3.0],
        }
        assert (await one.get("/tasks/1/curves?attempt=2")).status == 404


async def test_many_samples_are_thinned_out(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await running(one)
        samples = [Sample(1, at, "GPU-a", 0, 0, 0) for at in range(9_000)]
        await one.rig.engine.writer.run(lambda store: store.record_samples(samples))
        (device,) = (await one.get("/tasks/1/curves")).json()["devices"]
        assert 2_000 <= len(device["at"]) <= 4_000


async def test_a_device_has_curves_across_attempts(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await running(one)
        begin = one.rig.clock.now()
        samples = [Sample(1, begin + at, uuid, 50, 10, 2_000) for at in (0, 5_000) for uuid in ("GPU-a", "GPU-b")]
        await one.rig.engine.writer.run(lambda store: store.record_samples(samples))
        one.rig.clock.advance(10_000)
        found = (await one.get("/gpus/GPU-a/curves")).json()
        assert (found["uuid"], found["at"]) == ("GPU-a", [begin, begin + 5_000])
        assert (await one.get(f"/gpus/GPU-a/curves?from={begin + 1}")).json()["at"] == [begin + 5_000]


async def test_files_are_listed_and_sent_as_downloads(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        out = await running(one) / "out"
        (out / "plots").mkdir()
        (out / "plots" / "loss.svg").write_text("<svg onload='alert(1)'/>")
        (out / "metrics.json").write_text("{}")
        found = (await one.get("/tasks/1/files")).json()
        assert found["files"] == [{"name": "metrics.json", "bytes": 2}, {"name": "plots/loss.svg", "bytes": 24}]
        reply = await one.get("/tasks/1/files/plots/loss.svg")
        assert reply.body.startswith(b"<svg")
        assert reply.fields["content-disposition"] == "attachment"
        assert (reply.fields["content-type"], reply.fields["x-content-type-options"]) == (
            "application/octet-stream",
            "nosniff",
        )


def open_files() -> set[str]:
    """What the descriptors of this process lead to."""
    links = [f"/proc/self/fd/{number}" for number in os.listdir("/proc/self/fd")]
    return {os.readlink(link) for link in links if os.path.lexists(link)}


async def test_a_file_that_nobody_stays_to_read_is_closed(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        out = await running(one) / "out"
        (out / "large.bin").write_bytes(bytes(1_000_000))
        sent: list[Any] = []

        async def gone() -> Any:
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        path = "/api/v1/tasks/1/files/large.bin"
        scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b""}
        await make_app(one.host)({**scope, "headers": [], "http_version": "1.1", "scheme": "http"}, gone, send)
        assert str(out / "large.bin") not in open_files()
        assert not any(message.get("body") for message in sent)


@pytest.mark.parametrize("name", OUTSIDE)
async def test_no_name_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    async with served(tmp_path) as one:
        folder = await running(one)
        (folder / "start.json").write_text("secret")
        reply = await one.get(f"/tasks/1/files/{name}")
        assert reply.status in (400, 404)
        assert b"secret" not in reply.body
        assert b"root:" not in reply.body


async def test_links_and_pipes_are_neither_listed_nor_followed(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        out = await running(one) / "out"
        (tmp_path / "secret").write_text("secret")
        (out / "link").symlink_to(tmp_path / "secret")
        (out / "folder").symlink_to(tmp_path)
        os.mkfifo(out / "pipe")
        assert (await one.get("/tasks/1/files")).json()["files"] == []
        for name in ("link", "folder/secret", "pipe", "."):
            assert (await one.get(f"/tasks/1/files/{name}")).status == 404


async def test_the_end_of_a_log_is_read_without_the_rest(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        (await running(one) / "stdout.log").write_bytes(b"0123456789")
        reply = await one.get("/tasks/1/log?tail=4")
        assert (reply.body, reply.fields["x-log-offset"], reply.fields["x-log-size"]) == (b"6789", "6", "10")
        reply = await one.get("/tasks/1/log?offset=2&limit=3")
        assert (reply.body, reply.fields["x-log-offset"]) == (b"234", "2")


def test_a_log_that_is_a_link_is_empty(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "1"
    folder.mkdir()
    (folder / "stdout.log").symlink_to("../secret")
    assert read_log(folder / "stdout.log", 0, 100) == (0, 0, b"")


async def test_a_log_that_cannot_be_followed_is_told_before_its_first_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those who follow share an inotify instance, of which a user has 128."""

    def none_left() -> None:
        raise OSError(errno.EMFILE, "inotify_init1 failed: fs.inotify.max_user_instances is reached")

    async with served(tmp_path) as one:
        append(await running(one), b"one\n")
        monkeypatch.setattr("passloop.engine.file_changes.Watcher", none_left)
        reply = await one.get("/tasks/1/log/follow")
    assert reply.status == 503
    assert "max_user_instances is reached" in reply.body.decode()


class Follower:
    """A connection to a log that is followed."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, one: Served, query: str = "") -> Follower:
        reader, writer = await one.connect()
        writer.write(request_text("GET", f"/tasks/1/log/follow{query}", b"", {}))
        assert b" 200 " in await reader.readline()
        await reader.readuntil(b"\r\n\r\n")
        return cls(reader, writer)

    async def next(self) -> bytes:
        async with asyncio.timeout(10):
            size = int(await self._reader.readline(), 16)
            data = await self._reader.readexactly(size + 2)
        return data[:-2]

    async def rest(self) -> bytes:
        async with asyncio.timeout(10):
            data = await self._reader.read()
        self._writer.close()
        await self._writer.wait_closed()
        return b"".join(chunks(data))


def append(folder: Path, text: bytes) -> None:
    with (folder / "stdout.log").open("ab") as file:
        file.write(text)


async def test_a_log_is_followed_as_it_grows_to_the_end_of_its_task(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        folder = await running(one)
        append(folder, b"one\n")
        follower = await Follower.open(one, "?offset=1")
        assert await follower.next() == b"ne\n"
        append(folder, b"two\n")
        assert await follower.next() == b"two\n"
        append(folder, b"three\n")
        one.rig.driver.finish_task(1)
        assert await follower.rest() == b"three\n"


async def test_a_log_that_its_task_emptied_is_followed_from_its_new_start(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        folder = await running(one)
        append(folder, b"line 1\nline 2\n")
        follower = await Follower.open(one)
        assert await follower.next() == b"line 1\nline 2\n"
        (folder / "new.log").write_bytes(b"anew\n")
        (folder / "new.log").rename(folder / "stdout.log")  # at once: nobody sees it empty
        append(folder, b"more\n")
        one.rig.driver.finish_task(1)
        assert await follower.rest() == b"anew\nmore\n"


async def test_a_log_that_its_task_empties_for_each_line_is_followed_line_by_line(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        folder = await running(one)
        append(folder, b"step 1\n")
        follower = await Follower.open(one)
        assert await follower.next() == b"step 1\n"
        (folder / "new.log").write_bytes(b"step 2\n")
        (folder / "new.log").rename(folder / "stdout.log")
        assert await follower.next() == b"step 2\n"
        one.rig.driver.finish_task(1)
        assert await follower.rest() == b""


async def test_more_follow_one_log_than_a_user_may_have_inotify_instances(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        folder = await running(one)
        append(folder, b"one\n")
        followed = Followed(one.rig.engine, 1, folder / "stdout.log", is_latest=True)
        followers = [follow_log(followed, 0) for _ in range(150)]
        assert {await anext(one) for one in followers} == {b"one\n"}
        following = [asyncio.ensure_future(anext(one)) for one in followers]  # type: ignore[arg-type]
        append(folder, b"two\n")
        async with asyncio.timeout(20):
            assert {await one for one in following} == {b"two\n"}
        for follower in followers:
            await follower.aclose()  # type: ignore[attr-defined]


async def test_following_ends_with_the_attempt_even_if_its_task_goes_on(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        folder = await running(one)
        follower = await Follower.open(one)
        append(folder, b"last words")
        assert await follower.next() == b"last words"
        (folder / "exit.json").write_text("{}")
        assert await follower.rest() == b""


async def test_following_an_earlier_attempt_ends_with_what_it_wrote_though_no_record_of_its_end_is_there(
    tmp_path: Path,
) -> None:
    async with served(tmp_path) as one:
        folder = await running(one)
        append(folder, b"all")
        followed = Followed(one.rig.engine, 1, folder / "stdout.log", is_latest=False)
        async with asyncio.timeout(10):
            assert [piece async for piece in follow_log(followed, 0)] == [b"all"]


async def test_following_begins_before_there_is_a_file(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        folder = await running(one)
        follower = await Follower.open(one)
        append(folder, b"first")
        assert await follower.next() == b"first"
        one.rig.engine.hang_up()
        assert await follower.rest() == b""


async def test_the_journal_tells_the_turns_of_a_task_and_nothing_secret(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        await running(one, env={"API_KEY": "hidden-word"})
        await one.submit(2)
        one.rig.driver.finish_task(1)
        await one.rig.heard()
        found = (await one.get("/journal?task=1")).json()["rows"]
        kinds = [event["type"] for row in found for event in row["events"]]
        assert kinds[0] == "Exited"
        assert kinds[-1] == "Submitted"
        everything = await one.get("/journal?limit=500")
        assert b"hidden-word" not in everything.body
        seqs = [row["seq"] for row in everything.json()["rows"]]
        assert seqs == list(range(seqs[0], 0, -1))


async def test_the_journal_is_read_page_by_page(tmp_path: Path) -> None:
    async with served(tmp_path) as one:
        for _ in range(3):
            await one.submit()
        first = (await one.get("/journal?limit=2")).json()
        second = (await one.get(f"/journal?limit=2&before={first['next']}")).json()
        seqs = [row["seq"] for page in (first, second) for row in page["rows"]]
        assert seqs == list(range(seqs[0], seqs[0] - 4, -1))
