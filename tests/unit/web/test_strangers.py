"""The page's port before it is known who asks: how many connections there are, and how long each may be silent."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from passloop.web import strangers
from tests.support.paged import paged


@pytest.fixture(autouse=True)
def _on_a_slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """No head is late but where a test says so."""
    monkeypatch.setattr(strangers, "HEAD_SECONDS", 1000)


async def closed_by_the_engine(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    """Whether a connection ends without a word, by the other side. Waits until it does."""
    try:
        async with asyncio.timeout(20):
            said = await reader.read()
    except ConnectionResetError:
        said = b""
    writer.close()
    return said == b""


async def answered(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, port: int) -> None:
    """One request on a connection that stays open, and its whole answer."""
    writer.write(f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    await reader.readexactly(int(head.partition("content-length:")[2].split()[0]))


async def test_a_connection_that_says_nothing_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with paged(tmp_path) as page:
        monkeypatch.setattr(strangers, "HEAD_SECONDS", 0)
        assert await closed_by_the_engine(*await page.connect())


async def test_a_request_that_is_begun_and_not_ended_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with paged(tmp_path) as page:
        reader, writer = await page.connect()
        await answered(reader, writer, port=page.port)
        monkeypatch.setattr(strangers, "HEAD_SECONDS", 0)
        writer.write(b"GET / HTT")
        assert await closed_by_the_engine(reader, writer)


async def test_who_has_asked_may_stay(tmp_path: Path) -> None:
    async with paged(tmp_path) as page:
        reader, writer = await page.connect()
        await answered(reader, writer, port=page.port)
        timers = asyncio.get_running_loop()._scheduled  # type: ignore[attr-defined]  # no public list of timers
        set_ones = [timer._callback.__name__ for timer in timers if not timer.cancelled()]
        assert set_ones == ["timeout_keep_alive_handler"], "a minute for the next request"
        writer.close()


async def test_one_connection_too_many_is_closed_and_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strangers, "MOST_CONNECTIONS", 2)
    async with paged(tmp_path) as page:
        kept = [await page.connect() for _ in range(2)]
        assert await closed_by_the_engine(*await page.connect())
        for reader, writer in kept:
            await answered(reader, writer, port=page.port)
            writer.close()
