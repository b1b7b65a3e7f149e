"""HTTP for the load, and the only file that knows which library it is: answers in pieces, each with its time.

A request that went out on a kept connection which the server had closed meanwhile is sent again once, on a new one;
nothing else is ever repeated, since a repeated request would be load that nobody asked for. Must never log a header.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace

import aiohttp

__all__ = ["Refused", "Transport"]

CONNECT_SECONDS = 10
KEEP_ALIVE_SECONDS = 4
LARGEST = 16 * 1024 * 1024

Sink = Callable[[bytes, float], None]


class Refused(Exception):
    """There is no good answer: `kind` is one word of it, `status` the HTTP status if there was one."""

    def __init__(self, kind: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status


class _Trip(SimpleNamespace):
    """One request under way."""

    reused = False


class Transport:
    """Connections to one server. `base` is its URL up to `/v1`."""

    def __init__(self, base: str, *, reuse: bool = True, key: str | None = None) -> None:
        self._base = base
        self._headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_reuseconn.append(_note_reuse)
        self._session = aiohttp.ClientSession(
            connector=_connector(reuse),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[tracing],
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def get(self, path: str) -> bytes:
        """A whole answer. Raises `Refused`."""
        try:
            async with self._session.get(self._base + path, headers=self._headers) as response:
                return _whole(response.status, await response.content.read(LARGEST))
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error) from None

    async def stream(self, path: str, body: bytes, sink: Sink) -> int:
        """Send a body, give each piece of the answer with its time (the loop's clock); the status. Raises `Refused`."""
        trip = _Trip()
        try:
            return await self._once(path, body, sink, trip)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if not trip.reused or isinstance(error, aiohttp.ClientConnectorError):
                raise _translated(error) from None
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error) from None
        try:
            return await self._once(path, body, sink, trip)
        except (aiohttp.ClientError, OSError) as error:
            raise _translated(error) from None

    async def _once(self, path: str, body: bytes, sink: Sink, trip: _Trip) -> int:
        clock = asyncio.get_running_loop().time
        async with self._session.post(
            self._base + path, data=body, headers=self._headers, allow_redirects=False, trace_request_ctx=trip
        ) as response:
            trip.reused = False
            if response.status != 200:
                _whole(response.status, await response.content.read(LARGEST))
            async for piece in response.content.iter_any():
                sink(piece, clock())
            return response.status


def _connector(reuse: bool) -> aiohttp.TCPConnector:
    if not reuse:
        return aiohttp.TCPConnector(limit=0, force_close=True)
    return aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS)


async def _note_reuse(_session: object, context: SimpleNamespace, _given: object) -> None:
    context.trace_request_ctx.reused = True


def _whole(status: int, body: bytes) -> bytes:
    if status != 200:
        raise Refused(f"http_{status}", body[:300].decode("utf-8", "replace"), status)
    return body


def _translated(error: Exception) -> Refused:
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Refused("connect", f"no connection: {error}")
    return Refused("closed", f"the connection broke: {type(error).__name__}")
