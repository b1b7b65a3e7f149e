"""Connections are kept or not, as asked; a stale one is replaced once, and nothing else is sent again."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from passloop.apps.tune.load.transport import Refused, Transport

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Counting:
    """A server that gives each connection so many answers and then hangs up; it keeps what it was asked."""

    def __init__(self, answer: bytes = OK, *, answers: int = 1_000, last: bytes | None = None) -> None:
        self.answer = answer
        self.last = answer if last is None else last
        self.answers = answers
        self.connections = 0
        self.requests: list[bytes] = []
        self.closed = asyncio.Semaphore(0)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        for number in range(1, self.answers + 1):
            head = await reader.read(65_536)
            if not head:
                break
            self.requests.append(head)
            writer.write(self.last if number == self.answers else self.answer)
        writer.close()
        await writer.wait_closed()
        self.closed.release()


@asynccontextmanager
async def speaking(server: Counting, *, reuse: bool = True, key: str | None = None) -> AsyncIterator[Transport]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    transport = Transport(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1", reuse=reuse, key=key)
    try:
        yield transport
    finally:
        await transport.close()
        for _ in range(server.connections):
            await server.closed.acquire()
        listening.close()
        await asyncio.sleep(0)


async def test_a_kept_connection_carries_many_requests() -> None:
    server = Counting()
    async with speaking(server) as transport:
        for _ in range(5):
            assert await transport.get("/models") == b"ok"
        assert server.connections == 1


async def test_without_reuse_each_request_has_its_own_connection() -> None:
    server = Counting()
    async with speaking(server, reuse=False) as transport:
        for _ in range(5):
            await transport.get("/models")
        assert server.connections == 5
        assert all(b"connection: close\r\n" in request for request in server.requests)


async def test_a_connection_that_went_stale_is_replaced() -> None:
    server = Counting(answers=1)
    async with speaking(server) as transport:
        for _ in range(4):
            assert await transport.get("/models") == b"ok"
        assert server.connections == 4


async def test_a_new_connection_that_breaks_is_not_tried_again() -> None:
    server = Counting(b"", answers=1)
    async with speaking(server) as transport:
        with pytest.raises(Refused) as caught:
            await transport.get("/models")
        assert caught.value.kind == "closed"
        assert server.connections == 1


async def test_an_answer_that_breaks_off_is_not_asked_for_again() -> None:
    server = Counting(answers=2, last=OK[:-1])
    async with speaking(server) as transport:
        await transport.get("/models")
        with pytest.raises(Refused) as caught:
            await transport.get("/models")
    assert caught.value.kind == "closed"
    assert len(server.requests) == 2


async def test_a_refusal_tells_status_and_reason() -> None:
    server = Counting(b"HTTP/1.1 429 Slow down\r\ncontent-length: 8\r\n\r\ntoo many")
    async with speaking(server) as transport:
        pieces: list[bytes] = []
        with pytest.raises(Refused, match="too many") as caught:
            await transport.stream("/completions", b"{}", lambda piece, _: pieces.append(piece))
    assert (caught.value.kind, caught.value.status, pieces) == ("http_429", 429, [])


async def test_the_key_goes_into_the_header_only() -> None:
    server = Counting()
    async with speaking(server, key="a-secret-key") as transport:
        await transport.stream("/completions", b"{}", lambda *_: None)
    assert server.requests[0].startswith(b"POST /v1/completions HTTP/1.1\r\nhost: 127.0.0.1:")
    assert b"authorization: Bearer a-secret-key\r\n" in server.requests[0]
    assert server.requests[0].endswith(b"content-length: 2\r\n\r\n{}")


async def test_a_server_that_is_not_there_refuses_the_connection() -> None:
    listening = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    listening.close()
    transport = Transport(f"http://127.0.0.1:{port}")
    with pytest.raises(Refused) as caught:
        await transport.get("/v1/models")
    assert caught.value.kind == "connect"


async def test_a_server_without_encryption_is_no_https_server() -> None:
    server = Counting(b"plain words\r\n\r\n", answers=1)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    transport = Transport(f"https://127.0.0.1:{listening.sockets[0].getsockname()[1]}/v1")
    assert isinstance(transport._tls, ssl.SSLContext)
    with pytest.raises(Refused) as caught:
        await transport.get("/models")
    assert caught.value.kind == "connect"
    await server.closed.acquire()
    listening.close()
    await asyncio.sleep(0)
