"""Other HTTP clients in the place of the load client's own connection, for `benchmarks.tune.client` to compare."""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

import aiohttp

__all__ = ["AIOHTTP", "HTTPX2", "TransportOf"]

Sink = Callable[[bytes, float], None]
TransportOf = Callable[[str], Any]
HEADERS = {"content-type": "application/json"}


class AIOHTTP:
    """aiohttp, as the calls of datasets use it."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), cookie_jar=aiohttp.DummyCookieJar(), headers=HEADERS
        )

    async def stream(self, path: str, body: bytes, sink: Sink) -> int:
        clock = asyncio.get_running_loop().time
        async with self._session.post(self._base + path, data=body) as response:
            async for piece in response.content.iter_any():
                sink(piece, clock())
            return response.status

    async def close(self) -> None:
        await self._session.close()


class HTTPX2:
    """httpx2, where it is installed."""

    def __init__(self, base: str) -> None:
        httpx2 = importlib.import_module("httpx2")
        self._base = base
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
        self._client = httpx2.AsyncClient(limits=limits, timeout=None, headers=HEADERS)

    async def stream(self, path: str, body: bytes, sink: Sink) -> int:
        clock = asyncio.get_running_loop().time
        async with self._client.stream("POST", self._base + path, content=body) as response:
            async for piece in response.aiter_raw():
                sink(piece, clock())
            return int(response.status_code)

    async def close(self) -> None:
        await self._client.aclose()
