"""One HTTP/1.1 connection to the server under load: a request out, pieces of its answer in, each with its time.

The time is taken in the callback that the event loop makes for arrived bytes, before anything is parsed and before any
task runs: what measures must not wait in line behind what it measures, nor behind what came on other connections. It
knows as much of HTTP as an inference server speaks (a length, chunks, or an end by closing); it follows no redirects,
unpacks nothing and retries nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

__all__ = ["Arrivals", "Connection", "ConnectionBroken", "NotHttp", "Sink"]

LARGEST_HEAD = 64 * 1024
Sink = Callable[[bytes, float], None]
"""Takes a piece of a body and the time at which it came, on the loop's clock."""


class ConnectionBroken(Exception):
    """It ended before the answer did. `answered` says whether any of the answer had come."""

    def __init__(self, message: str, *, answered: bool) -> None:
        super().__init__(message)
        self.answered = answered


class NotHttp(Exception):
    """What came is no HTTP/1.1 answer."""


class Arrivals:
    """The time at which bytes came, the same for all connections that had some when the loop woke up: the last of them
    has its turn only after those before it are parsed, and was there all along.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._at: float | None = None

    def time(self) -> float:
        """When the loop woke up for what it hands out now, on its own clock."""
        if self._at is None:
            self._at = self._loop.time()
            self._loop.call_soon(self._forget)  # it runs before the loop looks for further bytes
        return self._at

    def _forget(self) -> None:
        self._at = None


_Mode = Literal["head", "length", "size", "chunk", "gap", "trailer", "close"]


class Connection(asyncio.Protocol):
    """A connection that carries one request at a time. `open` says whether another may be sent on it."""

    def __init__(self, arrivals: Arrivals | None = None) -> None:
        self._arrivals = arrivals or Arrivals()
        self._transport: asyncio.Transport | None = None
        self._sink: Sink = _ignore
        self._ended: asyncio.Future[int] | None = None
        self._rest = b""
        self._mode: _Mode = "head"
        self._left = 0
        self._status = 0
        self._keep = True
        self.open = False
        self.used = False

    async def ask(self, request: bytes, sink: Sink) -> int:
        """Send a whole request and wait for the end of its answer; gives the status.

        Raises `ConnectionBroken`, `NotHttp`. Cancelled, it closes the connection, since the rest of the answer would
        be taken for the next one.
        """
        if self._transport is None or not self.open:
            raise ConnectionBroken("the server closed it", answered=False)
        self._ended = asyncio.get_running_loop().create_future()
        self._sink, self._mode, self._rest, self._status, self._keep = sink, "head", b"", 0, True
        self._transport.write(request)
        try:
            return await self._ended
        except BaseException:
            self.close()
            raise
        finally:
            self._ended, self._sink, self.used = None, _ignore, True

    @property
    def status(self) -> int:
        """The status of the answer that is coming; 0 before its head is there."""
        return self._status

    def close(self) -> None:
        """Hang up at once."""
        self.open = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self.open = True

    def data_received(self, data: bytes) -> None:
        """Called by the loop: bytes are there."""
        at = self._arrivals.time()
        if self._ended is None or self._ended.done():
            self.close()  # nobody asked: whatever it is, the connection is of no more use
            return
        try:
            self._take(self._rest + data if self._rest else data, at)
        except (NotHttp, ValueError) as error:
            self._fail(error if isinstance(error, NotHttp) else NotHttp(f"no HTTP answer: {error}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop: it is closed."""
        self.open = False
        if self._mode == "close" and exc is None:
            self._finish()
            return
        self._fail(ConnectionBroken("the server closed the connection", answered=self._status != 0 or bool(self._rest)))

    def _take(self, data: bytes, at: float) -> None:
        while data and self._ended is not None and not self._ended.done():
            left = self._step(data, at)
            if left is None:  # more has to come before it can be read
                self._rest = data
                return
            data = left
        self._rest = b""

    def _step(self, data: bytes, at: float) -> bytes | None:
        """Take one thing off the front of the data; the rest, or None if that thing is not whole yet."""
        if self._mode == "head":
            return self._head(data)
        if self._mode == "size":
            return self._size(data)
        if self._mode == "gap":
            return self._gap(data)
        if self._mode == "trailer":
            return self._trailer(data)
        if self._mode == "close":
            self._sink(data, at)
            return b""
        return self._body(data, at)

    def _head(self, data: bytes) -> bytes | None:
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            if len(data) > LARGEST_HEAD or not b"HTTP/1.".startswith(data[:7]):
                raise NotHttp("the answer does not begin as HTTP/1.1 does")
            return None
        first, *lines = head.split(b"\r\n")
        if not first.startswith(b"HTTP/1."):
            raise NotHttp("the answer does not begin as HTTP/1.1 does")
        self._status = int(first.split(None, 2)[1])
        if 100 <= self._status < 200:
            return rest
        self._begin(dict(_header(line) for line in lines), old=first.startswith(b"HTTP/1.0"))
        return rest

    def _begin(self, headers: dict[bytes, bytes], *, old: bool) -> None:
        """How the body is going to end."""
        wish = headers.get(b"connection", b"keep-alive" if not old else b"close").lower()
        self._keep = wish != b"close"
        if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
            self._mode = "size"
        elif b"content-length" in headers:
            self._mode, self._left = "length", int(headers[b"content-length"])
            if self._left == 0:
                self._finish()
        else:
            self._mode, self._keep = "close", False

    def _size(self, data: bytes) -> bytes | None:
        line, found, rest = data.partition(b"\r\n")
        if not found:
            return None
        self._left = int(line.partition(b";")[0], 16)
        self._mode = "chunk" if self._left else "trailer"
        return rest

    def _trailer(self, data: bytes) -> bytes | None:
        line, found, rest = data.partition(b"\r\n")
        if not found:
            return None
        if not line:
            self._finish()
        return rest

    def _body(self, data: bytes, at: float) -> bytes:
        """A part of a body of known length, or of a chunk, which has a line's end behind it."""
        piece, rest = data[: self._left], data[self._left :]
        self._left -= len(piece)
        self._sink(piece, at)
        if self._left == 0 and self._mode == "length":
            self._finish()
        elif self._left == 0:
            self._mode = "gap"
        return rest

    def _gap(self, data: bytes) -> bytes | None:
        if len(data) < 2:
            return None
        self._mode = "size"
        return data[2:]

    def _finish(self) -> None:
        if not self._keep:
            self.close()
        if self._ended is not None and not self._ended.done():
            self._ended.set_result(self._status)

    def _fail(self, error: Exception) -> None:
        if self._ended is not None and not self._ended.done():
            self._ended.set_exception(error)


def _header(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.strip().lower(), value.strip()


def _ignore(_piece: bytes, _at: float) -> None:
    return None
