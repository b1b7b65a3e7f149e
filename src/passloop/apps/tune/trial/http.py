"""One small HTTP request to the server under trial, on a connection of its own: health, reset, version. No client.

A connection of its own, because a kept one would be closed by some servers, and a shared one would stand in the way of
what is measured.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

__all__ = ["NoAnswer", "Reply", "ask"]

LARGEST = 1 << 20


@dataclass(frozen=True, slots=True)
class Reply:
    """What a server answered."""

    status: int
    body: bytes = b""

    @property
    def good(self) -> bool:
        """Whether it is a 2xx."""
        return 200 <= self.status < 300


class NoAnswer(Exception):
    """Nobody answered, or what came was no HTTP; the text says which."""


async def ask(host: str, port: int, path: str, *, method: str = "GET", seconds: float) -> Reply:
    """Send a request without a body. Raises `NoAnswer`, after `seconds` at the latest."""
    try:
        async with asyncio.timeout(seconds):
            return await _exchange(host, port, path, method)
    except TimeoutError:
        raise NoAnswer(f"no answer within {seconds:g} s") from None
    except (OSError, ValueError, IndexError, asyncio.IncompleteReadError) as error:
        raise NoAnswer(f"{type(error).__name__}: {error}") from None


async def _exchange(host: str, port: int, path: str, method: str) -> Reply:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        length = "content-length: 0\r\n" if method == "POST" else ""
        head = f"{method} {path} HTTP/1.1\r\nhost: {host}:{port}\r\naccept: */*\r\n{length}connection: close\r\n\r\n"
        writer.write(head.encode())
        status = int((await reader.readline()).split()[1])
        headers: dict[bytes, bytes] = {}
        while line := (await reader.readline()).strip():
            name, _, value = line.partition(b":")
            headers[name.strip().lower()] = value.strip()
        return Reply(status, await _body(reader, headers))
    finally:
        writer.close()


async def _body(reader: asyncio.StreamReader, headers: dict[bytes, bytes]) -> bytes:
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        return await _chunks(reader)
    if b"content-length" in headers:
        return await reader.readexactly(min(int(headers[b"content-length"]), LARGEST))
    return await reader.read(LARGEST)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while len(found) < LARGEST and (size := int((await reader.readline()).split(b";")[0], 16)):
        found += await reader.readexactly(size)
        await reader.readline()
    return found
