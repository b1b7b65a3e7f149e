"""Ready is what our own server says; sick or silent for too long is the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from passloop.apps.tune.engines.base import End, Holder, Stopped
from passloop.apps.tune.trial.failures import TrialFailure
from passloop.apps.tune.trial.guarding import TimeLeft, guarded
from passloop.apps.tune.trial.http import NoAnswer, ask
from passloop.apps.tune.trial.readiness import Health, PortClash, wait_ready
from passloop.apps.tune.trial.server_log import ServerLog
from passloop.testing.server import ScriptedServer
from passloop.testing.server_script import ServerScript

LIMIT = 20


class Claimed:
    """A server of which the test says whose port it is and when it ends."""

    argv: tuple[str, ...] = ()
    environment: Mapping[str, str] = {}

    def __init__(self, holder: Holder) -> None:
        self.says = holder
        self.ended: asyncio.Future[End] = asyncio.get_running_loop().create_future()

    def holder(self, port: int) -> Holder:
        return self.says

    def facts(self) -> Mapping[str, Any]:
        return {}

    async def drained(self, seconds: float) -> None:
        """Nothing is written."""

    async def stop(self, grace: int) -> Stopped:
        return Stopped()


@pytest.fixture
async def good() -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(ServerScript())
    await server.start()
    yield server
    server.stop()


@pytest.fixture
async def silent() -> AsyncIterator[ScriptedServer]:
    server = ScriptedServer(ServerScript(hang_after=0))
    await server.start()
    yield server
    server.stop()


def health(server: ScriptedServer, holder: Holder = Holder.OURS, path: str = "/health") -> Health:
    return Health(Claimed(holder), "127.0.0.1", server.port, path)


async def test_a_good_answer_of_our_server_is_readiness(good: ScriptedServer) -> None:
    assert await health(good).is_ready()


@pytest.mark.parametrize("holder", [Holder.NOBODY, Holder.HIDDEN])
async def test_a_good_answer_of_whom_we_cannot_see_is_none(good: ScriptedServer, holder: Holder) -> None:
    watched = health(good, holder)
    assert not await watched.is_ready()
    assert ("cannot be seen" in watched.last) is (holder is Holder.HIDDEN)


async def test_an_answer_of_others_is_a_clash_of_ports(good: ScriptedServer) -> None:
    with pytest.raises(PortClash, match=f"port {good.port} is used by another process"):
        await wait_ready(health(good, Holder.OTHERS))


async def test_a_path_that_is_not_there_is_told(good: ScriptedServer) -> None:
    watched = health(good, path="/nothing")
    assert not await watched.is_ready()
    assert watched.last == "GET /nothing was answered 404"


async def test_a_silent_server_is_given_up_as_hanging(silent: ScriptedServer) -> None:
    async with asyncio.timeout(LIMIT):
        with pytest.raises(TrialFailure, match="no answer within") as failed:
            await health(silent).watch(80)
    assert failed.value.kind == "time_limit"


async def test_a_sick_server_is_given_up_as_broken(good: ScriptedServer) -> None:
    async with asyncio.timeout(LIMIT):
        with pytest.raises(TrialFailure, match="was answered 404") as failed:
            await health(good, path="/nothing").watch(80)
    assert failed.value.kind == "crash"


async def test_a_server_that_answered_badly_before_it_fell_silent_is_broken() -> None:
    said: list[bytes] = [b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\n\r\n"]

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said.pop() if said else b"")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server, asyncio.timeout(LIMIT):
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TrialFailure) as failed:
            await Health(Claimed(Holder.OURS), "127.0.0.1", port, "/health").watch(80)
    assert failed.value.kind == "crash"


async def test_a_small_request_gets_its_answer(good: ScriptedServer) -> None:
    reply = await ask("127.0.0.1", good.port, "/reset", method="POST", seconds=LIMIT)
    assert (reply.good, reply.body, good.resets) == (True, b'{"resets": 1}', 1)


async def test_an_answer_in_chunks_is_put_together() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert (await ask("127.0.0.1", port, "/", seconds=LIMIT)).body == b"abcde"


async def test_what_is_no_http_is_no_answer() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"SSH-2.0-OpenSSH\r\n")
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(NoAnswer):
            await ask("127.0.0.1", port, "/", seconds=LIMIT)


@pytest.fixture
def log(tmp_path_factory: pytest.TempPathFactory) -> ServerLog:
    made = ServerLog(tmp_path_factory.mktemp("log") / "server.log")
    made.write(b"torch.OutOfMemoryError: CUDA out of memory\n")
    made.close()
    return made


async def for_ever(cut_off: asyncio.Event) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        cut_off.set()


async def test_work_is_cut_off_when_its_time_is_over(log: ServerLog) -> None:
    cut_off = asyncio.Event()
    with pytest.raises(TrialFailure, match=r"the warm-up took longer than 0\.02 s") as failed:
        await guarded(for_ever(cut_off), TimeLeft(20, "the warm-up"), server=Claimed(Holder.OURS), log=log)
    assert failed.value.kind == "time_limit"
    assert cut_off.is_set()


async def test_a_limit_that_is_set_anew_counts_from_then(log: ServerLog) -> None:
    left = TimeLeft(LIMIT * 1_000, "all")

    async def turn() -> None:
        left.set(20, "measuring")
        await asyncio.Event().wait()

    with pytest.raises(TrialFailure, match="measuring took longer"):
        await guarded(turn(), left, server=Claimed(Holder.OURS), log=log)


async def test_the_death_of_the_server_cuts_work_off_at_once(log: ServerLog) -> None:
    server, cut_off = Claimed(Holder.OURS), asyncio.Event()
    asyncio.get_running_loop().call_soon(server.ended.set_result, End(code=1))
    with pytest.raises(TrialFailure, match="ended by itself with exit code 1") as failed:
        await guarded(for_ever(cut_off), TimeLeft(LIMIT * 1_000, "all"), server=server, log=log)
    assert (failed.value.kind, failed.value.memory) == ("out_of_memory", False)
    assert cut_off.is_set()


async def test_a_kill_for_memory_that_the_system_told_is_a_fact(log: ServerLog) -> None:
    server = Claimed(Holder.OURS)
    server.ended.set_result(End(signal=9, memory=True))
    with pytest.raises(TrialFailure) as failed:
        await guarded(for_ever(asyncio.Event()), TimeLeft(LIMIT * 1_000, "all"), server=server, log=log)
    assert failed.value.memory


async def test_work_that_ends_gives_its_result(log: ServerLog) -> None:
    async def work() -> int:
        return 7

    left = TimeLeft(LIMIT * 1_000, "all")
    assert await guarded(work(), left, server=Claimed(Holder.OURS), log=log, health=for_ever(asyncio.Event())) == 7
