"""HTTP/1.1 over an engine's Unix socket, with asyncio streams: JSON in and out, one connection per request.

It knows no verb. `NoEngine` says that nothing was sent, so that the caller may look for an engine and ask again;
`Unanswered` that the engine went away in the middle.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from passloop.store.home import Home, socket_address

from .errors import PassloopError, error_of

__all__ = ["Json", "NoEngine", "Query", "Stopping", "Unanswered", "events", "request"]

Json = dict[str, Any]
Query = Sequence[tuple[str, str | int]]
API = "/api/v1"


class NoEngine(Exception):
    """Nobody listens on the home's socket; nothing was sent."""


class Unanswered(Exception):
    """The engine went away after it was asked and before it answered."""


class Stopping(Exception):
    """The engine is going away and did nothing of what it was asked."""


async def request(home: Path, method: str, path: str, *, query: Query = (), body: bytes | None = None) -> Json:
    """One request to `/api/v1{path}`. Raises `NoEngine`, `Unanswered`, `Stopping`, and what the engine answered."""
    async with _asked(home, method, path, query, body, ()) as reply:
        document: Json = json.loads(await reply.body())
        return document


@asynccontextmanager
async def events(home: Path, after: int | None) -> AsyncIterator[AsyncIterator[Json]]:
    """The engine's turns after journal number `after` (None: from now on), as they are committed.

    The stream has begun when the block does, so that nothing that happens in the block is missed.
    """
    fields = () if after is None else (("Last-Event-ID", str(after)),)
    async with _asked(home, "GET", "/events", (), None, fields) as reply:
        await reply.piece()
        yield _turns(reply)


async def _turns(reply: _Reply) -> AsyncIterator[Json]:
    text = b""
    while piece := await reply.piece():
        *whole, text = (text + piece).split(b"\n\n")
        for turn in _turns_in(whole):
            yield turn


def _turns_in(blocks: Sequence[bytes]) -> Iterator[Json]:
    for block in blocks:
        for line in block.split(b"\n"):
            if line.startswith(b"data:"):
                yield json.loads(line[5:])


class _Reply:
    """One reply: its status, then its body by length, by chunks, or to the end of the connection."""

    def __init__(self, status: int, fields: dict[str, str], reader: asyncio.StreamReader) -> None:
        self.status = status
        self._reader = reader
        self._chunked = "chunked" in fields.get("transfer-encoding", "")
        self._length = int(fields.get("content-length", -1))

    async def body(self) -> bytes:
        """The whole body."""
        if self._length >= 0:
            return await self._reader.readexactly(self._length)
        pieces = [piece async for piece in self._pieces()]
        return b"".join(pieces)

    async def piece(self) -> bytes:
        """Some more of the body; empty at its end."""
        if not self._chunked:
            return await self._reader.read(65_536)
        size = int((await self._reader.readuntil(b"\r\n")).split(b";")[0], 16)
        data = await self._reader.readexactly(size)
        await self._reader.readexactly(2)
        return data

    async def _pieces(self) -> AsyncIterator[bytes]:
        while piece := await self.piece():
            yield piece


@asynccontextmanager
async def _asked(
    home: Path, method: str, path: str, query: Query, body: bytes | None, fields: Sequence[tuple[str, str]]
) -> AsyncIterator[_Reply]:
    reader, writer = await _connected(home)
    try:
        writer.write(_text(method, path, query, body, fields))
        reply = await _reply(reader)
        if reply.status >= 400:
            raise _refused(reply.status, await reply.body())
        yield reply
    except (ConnectionError, asyncio.IncompleteReadError) as broken:
        raise Unanswered(str(broken)) from broken
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _connected(home: Path) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    try:
        with socket_address(Home(home).socket) as address:
            return await asyncio.open_unix_connection(address)
    except (FileNotFoundError, ConnectionRefusedError, ConnectionResetError, NotADirectoryError) as lacking:
        raise NoEngine(str(home)) from lacking
    except PermissionError as refused:
        hint = "choose a home of your own"
        raise PassloopError(f"the engine of {home} belongs to another user", hint=hint, code="not_allowed") from refused


async def _reply(reader: asyncio.StreamReader) -> _Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    return _Reply(int(head[0].split(" ", 2)[1]), fields, reader)


def _refused(status: int, body: bytes) -> Exception:
    """What an engine says when it does not do what it was asked."""
    try:
        error = json.loads(body)["error"]
        code, message, hint = str(error["code"]), str(error["message"]), str(error["hint"])
    except (ValueError, KeyError, TypeError):
        return PassloopError(f"the engine answered with HTTP status {status}", hint="passloop doctor", code="bug")
    return Stopping(message) if code == "stopped" else error_of(code, message, hint)


def _text(method: str, path: str, query: Query, body: bytes | None, more: Sequence[tuple[str, str]]) -> bytes:
    target = f"{API}{path}?{urlencode(query)}" if query else f"{API}{path}"
    lines = [f"{method} {target} HTTP/1.1", "Host: passloop", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in more]
    if body is not None:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + (body or b"")
