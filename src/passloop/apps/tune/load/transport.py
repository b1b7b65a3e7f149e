"""HTTP for the load: connections to one server, kept or not, and errors in our words.

A request that went out on a kept connection which the server closed meanwhile, before any of an answer, is sent again
once on a new one; nothing else is ever repeated, since a repeated request is load that nobody asked for. Must never log
a header.
"""

from __future__ import annotations

import asyncio
import ssl
from urllib.parse import urlsplit

from passloop.apps.errors import BadValue

from .connection import Arrivals, Connection, ConnectionBroken, NotHttp, Sink

__all__ = ["Refused", "Transport"]

CONNECT_SECONDS = 10
SHOWN = 300


class Refused(Exception):
    """There is no good answer: `kind` is one word of it, `status` the HTTP status if there was one."""

    def __init__(self, kind: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.kind = kind
        self.status = status


class Transport:
    """Connections to one server. `base` is its URL up to `/v1`; without `reuse` each request has one of its own."""

    def __init__(self, base: str, *, reuse: bool = True, key: str | None = None) -> None:
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadValue(f"{base!r} is no URL of a server", "give http://HOST:PORT")
        self._path = parts.path
        self._host = parts.hostname
        self._port = parts.port or (443 if parts.scheme == "https" else 80)
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._address: str | None = None
        self._reuse = reuse
        self._arrivals: Arrivals | None = None
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        words = [
            f"host: {parts.netloc.rpartition('@')[2]}",
            "content-type: application/json",
            "accept: text/event-stream, application/json",
            f"connection: {'keep-alive' if reuse else 'close'}",
            *([f"authorization: Bearer {key}"] if key else []),
        ]
        self._headers = "".join(f"{word}\r\n" for word in words)

    async def close(self) -> None:
        """Close all connections."""
        for connection in tuple(self._open):
            connection.close()
        self._open.clear()
        self._idle.clear()
        await asyncio.sleep(0)

    async def get(self, path: str) -> bytes:
        """A whole answer. Raises `Refused`."""
        pieces: list[bytes] = []
        await self._exchange("GET", path, b"", lambda piece, _: pieces.append(piece))
        return b"".join(pieces)

    async def stream(self, path: str, body: bytes, sink: Sink) -> int:
        """Send a body, give each piece of the answer with its time (the loop's clock); the status. Raises `Refused`."""
        return await self._exchange("POST", path, body, sink)

    async def _exchange(self, method: str, path: str, body: bytes, sink: Sink) -> int:
        head = f"{method} {self._path}{path} HTTP/1.1\r\n{self._headers}content-length: {len(body)}\r\n\r\n"
        request = head.encode() + body
        connection = self._kept()
        if connection is not None:
            try:
                return await self._ask(connection, request, sink)
            except ConnectionBroken as broken:
                if broken.answered:
                    raise Refused("closed", str(broken)) from None
        try:
            return await self._ask(await self._connect(), request, sink)
        except ConnectionBroken as broken:
            raise Refused("closed", str(broken)) from None

    async def _ask(self, connection: Connection, request: bytes, sink: Sink) -> int:
        refusal: list[bytes] = []

        def take(piece: bytes, at: float) -> None:
            if connection.status == 200:
                sink(piece, at)
            elif len(refusal) < SHOWN:
                refusal.append(piece)

        try:
            status = await connection.ask(request, take)
        except NotHttp as error:
            raise Refused("garbage", str(error)) from None
        finally:
            self._put_back(connection)
        if status != 200:
            raise Refused(f"http_{status}", b"".join(refusal)[:SHOWN].decode("utf-8", "replace"), status)
        return status

    def _kept(self) -> Connection | None:
        """The connection that was used last and is still open."""
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                return connection
            self._open.discard(connection)
        return None

    def _put_back(self, connection: Connection) -> None:
        if connection.open and self._reuse:
            self._idle.append(connection)
            return
        connection.close()
        self._open.discard(connection)

    async def _connect(self) -> Connection:
        """A new connection. A name is looked up for the first one only."""
        loop = asyncio.get_running_loop()
        arrivals = self._arrivals = self._arrivals or Arrivals()
        name = self._host if self._tls is not None else None
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                transport, connection = await loop.create_connection(
                    lambda: Connection(arrivals),
                    self._address or self._host,
                    self._port,
                    ssl=self._tls,
                    server_hostname=name,
                )
        except (OSError, ssl.SSLError) as error:
            raise Refused("connect", f"no connection to {self._host}:{self._port}: {error}") from None
        self._address = transport.get_extra_info("peername")[0]
        self._open.add(connection)
        return connection
