"""Over which connection a call goes, and how often: one that may have been read is never sent again unseen."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from errno import EMFILE
from typing import Any

import aiohttp
import pytest
from aiohttp.connector import Connection

from passloop.drivers.calls.caller import CallRequest
from passloop.drivers.calls.client import STALE_S, Client, Reply
from passloop.drivers.calls.endpoints import Endpoint, Model
from passloop.drivers.calls.errors import Broken

KEPT = 5
ANSWER = b'{"choices": [{"text": "lamp", "finish_reason": "stop"}]}'
SAID = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(ANSWER), ANSWER)


class Server:
    """Answers the first request of each connection once `KEPT` have come, later ones at once, and breaks each that
    comes over a used one `after` seconds of its own time. `breaks_all`: from the first broken one on it breaks all.
    """

    def __init__(self, *, after: float, breaks_all: bool = False) -> None:
        self.now = 0.0
        self.received = self.broken = 0
        self._after = after
        self._breaks_all = breaks_all
        self._all_there = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            await self._take(reader)
            if self.received == KEPT:
                self._all_there.set()
            await self._all_there.wait()
            if not (self._breaks_all and self.broken):
                writer.write(SAID)
                await self._take(reader)
            self.broken += 1
            self.now += self._after
        except asyncio.IncompleteReadError:
            pass
        writer.transport.abort()

    async def _take(self, reader: asyncio.StreamReader) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
        self.received += 1


Call = Callable[[], asyncio.Future[Reply]]


@asynccontextmanager
async def kept(server: Server) -> AsyncIterator[Call]:
    """Calls of a client that keeps `KEPT` connections to the server."""
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    request = CallRequest(Model(Endpoint(f"http://127.0.0.1:{port}/v1"), "m"), {"prompt": "x"}, key="cell")
    client = Client(now=lambda: server.now)

    def call() -> asyncio.Future[Reply]:
        return asyncio.ensure_future(client.call(request, {}))

    await asyncio.gather(*(call() for _ in range(KEPT)))
    assert server.received == KEPT
    try:
        yield call
    finally:
        await client.close()
        listening.close()
        await listening.wait_closed()


@pytest.mark.parametrize("after", [STALE_S, 2.0])
async def test_a_request_that_a_server_may_have_worked_on_is_not_sent_again(after: float) -> None:
    """It may have been billed, so that what broke is told, and counts."""
    server = Server(after=after)
    async with kept(server) as call:
        with pytest.raises(Broken, match=r"closed the connection before it answered|connection broke"):
            await call()
    assert (server.received - KEPT, server.broken) == (1, 1)


async def test_a_connection_that_breaks_at_once_is_replaced_by_a_new_one_and_not_by_another_that_was_kept() -> None:
    server = Server(after=0.01)
    async with kept(server) as call:
        assert (await call()).status == 200
    assert (server.received - KEPT, server.broken) == (2, 1)


async def test_a_request_is_sent_twice_at_most() -> None:
    server = Server(after=0.01, breaks_all=True)
    async with kept(server) as call:
        with pytest.raises(Broken):
            await call()
    assert (server.received - KEPT, server.broken) == (2, 2)


async def test_a_request_is_sent_twice_at_most_while_no_new_connection_can_be_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Were it called not sent, it would go over each connection that is kept, once a second, and be paid for each time.

    Only new connections that are made for it want a descriptor here: the kept ones are there.
    """
    monkeypatch.setattr("passloop.drivers.descriptors.AGAIN_S", 0.001)
    server = Server(after=0.01)
    opening, wants = aiohttp.TCPConnector.connect, [EMFILE, EMFILE]

    async def connect(
        self: aiohttp.TCPConnector, request: aiohttp.ClientRequest, *about: Any, **more: Any
    ) -> Connection:
        if self.force_close and wants:
            raise aiohttp.ClientConnectorError(request.connection_key, OSError(wants.pop(), "Too many open files"))
        return await opening(self, request, *about, **more)

    async with kept(server) as call:
        monkeypatch.setattr(aiohttp.TCPConnector, "connect", connect)
        assert (await call()).status == 200
    assert (server.received - KEPT, server.broken, wants) == (2, 1, [])
