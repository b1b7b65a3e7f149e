"""A client that keeps its connection to the engine's socket open, and many of them at once.

It times each request and keeps every answer that is not a success, word for word; it never asks twice.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any

from passloop.store.home import socket_address

__all__ = ["KeptClient", "Log", "connected"]


@dataclass
class Log:
    """What all clients saw: seconds by request, and the answers that were errors."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def millis(self, share: float) -> float:
        """The latency in ms that this share of the requests kept within."""
        ordered = sorted(self.seconds)
        return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)


class KeptClient:
    """One connection, one request at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, log: Log) -> None:
        self._reader = reader
        self._writer = writer
        self._log = log

    async def ask(self, method: str, path: str, body: object = None) -> Any:
        """One request to `/api/v1{path}`; its document, or None for an error, which is noted."""
        data = b"" if body is None else json.dumps(body).encode()
        head = f"{method} /api/v1{path} HTTP/1.1\r\nHost: passloop\r\nContent-Type: application/json\r\n"
        started = perf_counter()
        self._writer.write(f"{head}Content-Length: {len(data)}\r\n\r\n".encode() + data)
        status, text = await self._answer()
        self._log.seconds.append(perf_counter() - started)
        if status >= 400:
            self._log.errors.append(f"{method} {path}: {status} {text.decode()}")
            return None
        return json.loads(text)

    async def _answer(self) -> tuple[int, bytes]:
        head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        length = int(head.partition("content-length:")[2].split("\r\n")[0])
        return int(head.split()[1]), await self._reader.readexactly(length)


@asynccontextmanager
async def connected(socket: Path, count: int) -> AsyncIterator[tuple[list[KeptClient], Log]]:
    """`count` clients with open connections, and what they see."""
    log = Log()
    links = []
    try:
        for _ in range(count):
            with socket_address(socket) as address:
                links.append(await asyncio.open_unix_connection(address))
        yield [KeptClient(reader, writer, log) for reader, writer in links], log
    finally:
        for _, writer in links:
            writer.close()
            await writer.wait_closed()
