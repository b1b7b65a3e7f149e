"""What every kind of engine promises: a server is started, known as ours, heard, and gone when it is stopped.

The engine of containers runs against a stand-in for docker's HTTP interface, whose containers are real processes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from passloop.apps.tune.engines.base import CannotStart, End, Engine, Holder, Server, Site
from passloop.apps.tune.engines.command import CommandEngine
from passloop.apps.tune.engines.docker import DockerEngine
from passloop.apps.tune.engines.tree import adopt_orphans, children_now, living
from passloop.apps.tune.records import EngineOrder
from passloop.apps.tune.trial.ports import PortBlock
from passloop.apps.tune.trial.readiness import Health, wait_ready
from tests.support.fake_docker import IMAGE, fake_docker

SERVER = (sys.executable, "-m", "passloop.testing.server", "--port", "{port}")
LIMIT = 20
GRACE = 10_000
SHORT = 1_000
KINDS = ("command", "docker")


class Stage:
    """An engine of one kind, a block of ports, and all that servers write."""

    def __init__(self, kind: str, block: PortBlock) -> None:
        self.kind = kind
        self.engine: Engine = CommandEngine() if kind == "command" else DockerEngine()
        self.block = block
        self.written = b""
        self.guard = threading.Lock()

    def take(self, piece: bytes) -> None:
        with self.guard:
            self.written += piece

    def site(self, **environment: str) -> Site:
        mark = f"home-{self.block.first}"
        told = {**os.environ, "PASSLOOP_ATTEMPT_ID": mark, "PASSLOOP_TRIAL": "the order", **environment}
        return Site(
            port=self.block.first,
            ports=self.block.count,
            temporary=self.block.temporary,
            environment=told,
            log=self.take,
            mark=mark,
            task="1",
        )

    async def start(self, *words: str, argv: tuple[str, ...] = SERVER, env: Mapping[str, str] | None = None) -> Server:
        order = EngineOrder(kind=self.kind, argv=(*argv, *words), env=dict(env or {}), image=IMAGE)  # type: ignore[arg-type]
        return await self.engine.start(order, self.site())

    async def up(self, *words: str) -> Server:
        server = await self.start(*words)
        async with asyncio.timeout(LIMIT):
            await wait_ready(Health(server, "127.0.0.1", self.block.first, "/health"))
        return server


@pytest.fixture(params=KINDS)
async def stage(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Stage]:
    before = children_now()
    block = PortBlock.take(16, tmp_path / "ports", temporary=tmp_path / "temporary")
    adopt_orphans()
    try:
        if request.param == "docker":
            with fake_docker() as (_, address):
                monkeypatch.setenv("DOCKER_HOST", address)
                yield Stage(request.param, block)
        else:
            yield Stage(request.param, block)
    finally:
        adopt_orphans(adopt=False)
        block.release()
    assert not living(before)


@pytest.fixture
def elsewhere(stage: Stage) -> Iterator[Callable[[int], None]]:
    """Another program that listens on a port: this one."""
    taken: list[socket.socket] = []

    def listen(port: int) -> None:
        taken.append(socket.create_server(("127.0.0.1", port)))

    yield listen
    for each in taken:
        each.close()


async def ended(server: Server) -> End:
    async with asyncio.timeout(LIMIT):
        return await server.ended


async def test_a_server_that_listens_is_ours(stage: Stage) -> None:
    server = await stage.up()
    assert server.holder(stage.block.first) is Holder.OURS
    assert server.holder(stage.block.first + 1) is Holder.NOBODY
    await server.stop(GRACE)


async def test_what_others_listen_on_is_not_ours(stage: Stage, elsewhere: Callable[[int], None]) -> None:
    elsewhere(stage.block.first)
    server = await stage.start("--never-listen")
    assert server.holder(stage.block.first) is Holder.OTHERS
    await server.stop(GRACE)


async def test_what_it_writes_is_heard_to_the_end(stage: Stage) -> None:
    server = await stage.start("--exit-at-start", "3", "--say", "the last words")
    assert await ended(server) == End(code=3)
    await server.drained(LIMIT)
    assert stage.written == b"the last words\n"
    await server.stop(GRACE)


async def test_a_server_that_is_killed_ends_by_its_signal(stage: Stage) -> None:
    server = await stage.start("--die-after", "0")
    async with asyncio.timeout(LIMIT):
        await wait_ready(Health(server, "127.0.0.1", stage.block.first, "/health"))
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.block.first)
    writer.write(b"POST /v1/completions HTTP/1.1\r\ncontent-length: 2\r\n\r\n{}")
    assert await ended(server) == End(signal=signal.SIGKILL)
    assert await reader.read() == b""
    writer.close()
    assert (await server.stop(GRACE)).left == ()


async def test_a_stop_leaves_nobody_on_the_port(stage: Stage) -> None:
    server = await stage.up()
    stopped = await server.stop(GRACE)
    assert (stopped.killed, stopped.left) == ((), ())
    assert (await ended(server)).code == 0
    assert server.holder(stage.block.first) is Holder.NOBODY


async def test_a_server_that_will_not_end_is_killed_and_that_is_told(stage: Stage) -> None:
    server = await stage.up("--ignore-term")
    stopped = await server.stop(SHORT)
    assert len(stopped.killed) == 1
    assert stopped.left == ()
    assert await ended(server) == End(signal=signal.SIGKILL)


async def test_a_child_in_a_session_of_its_own_is_gone_after_a_stop(stage: Stage) -> None:
    server = await stage.up("--leave-child")
    stopped = await server.stop(SHORT)
    assert stopped.left == ()
    assert server.holder(stage.block.first) is Holder.NOBODY


async def test_a_stop_after_its_own_end_is_no_error(stage: Stage) -> None:
    server = await stage.start("--exit-at-start", "0")
    await ended(server)
    assert (await server.stop(GRACE)).left == ()


async def test_a_program_that_is_not_there_cannot_be_started(stage: Stage) -> None:
    with pytest.raises(CannotStart, match=r"no-such-program|docker refuses"):
        await stage.start(argv=("/no-such-program",))


async def test_it_is_told_its_ports_and_not_the_order(stage: Stage) -> None:
    server = await stage.start("--exit-at-start", "0", env={"OWN": "{port}"})
    first = stage.block.first
    assert server.argv[-4:] == ("--port", str(first), "--exit-at-start", "0")
    assert server.environment["OWN"] == str(first)
    assert server.environment["VLLM_PORT"] == str(first + 1)
    assert server.environment["MASTER_PORT"] == str(first + 15)
    assert "PASSLOOP_TRIAL" not in server.environment
    await ended(server)
    await server.stop(GRACE)
