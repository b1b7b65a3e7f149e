"""The client of the socket: what it says when nobody answers, and what it makes of refusals."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from passloop.api import http
from passloop.api.errors import NeverFits, PassloopError

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def listening(home: Path, reply: bytes) -> AsyncIterator[list[bytes]]:
    """A server that gives this reply to whatever it is asked, and closes; the requests it got."""
    asked: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(reply)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_unix_server(answer, home / "socket")
    async with server:
        yield asked


def reply(status: int, body: bytes) -> bytes:
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body)


def error(code: str) -> bytes:
    return b'{"error": {"code": "%b", "message": "m", "hint": "h", "exit": 1}}' % code.encode()


async def test_a_request_says_what_is_asked(tmp_path: Path) -> None:
    async with listening(tmp_path, reply(200, b'{"a": 1}')) as asked:
        query = [("select", "@a b"), ("select", "state:failed")]
        assert await http.request(tmp_path, "GET", "/tasks", query=query) == {"a": 1}
    head = asked[0].decode()
    assert head.startswith("GET /api/v1/tasks?select=%40a+b&select=state%3Afailed HTTP/1.1\r\n")
    assert "Host: passloop\r\nConnection: close" in head


async def test_a_body_in_chunks_and_one_without_a_length_are_read_whole(tmp_path: Path) -> None:
    chunked = b'HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{"a\r\n4;x=y\r\n":1}\r\n0\r\n\r\n'
    for answer in (chunked, b'HTTP/1.1 200 X\r\n\r\n{"a":1}'):
        async with listening(tmp_path, answer):
            assert await http.request(tmp_path, "GET", "/x") == {"a": 1}


@pytest.mark.parametrize("there", ["nothing", "no folder", "a dead socket"])
async def test_where_nobody_listens_nothing_was_sent(tmp_path: Path, there: str) -> None:
    home = tmp_path / "missing" if there == "no folder" else tmp_path
    if there == "a dead socket":
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(home / "socket"))
    with pytest.raises(http.NoEngine):
        await http.request(home, "GET", "/status")


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 X\r\nContent-Le", reply(200, b"{}")[:-1]])
async def test_an_answer_that_is_cut_off_is_no_answer(tmp_path: Path, answer: bytes) -> None:
    async with listening(tmp_path, answer):
        with pytest.raises(http.Unanswered):
            await http.request(tmp_path, "GET", "/status")


async def test_refusals_become_errors_by_their_code(tmp_path: Path) -> None:
    expected = [("never_fits", NeverFits), ("stopped", http.Stopping), ("not_found", PassloopError)]
    for code, kind in expected:
        async with listening(tmp_path, reply(409, error(code))):
            with pytest.raises(kind, match="m"):
                await http.request(tmp_path, "GET", "/status")


async def test_an_error_that_is_not_ours_is_told_by_its_status(tmp_path: Path) -> None:
    async with listening(tmp_path, reply(502, b"<html>")):
        with pytest.raises(PassloopError, match="HTTP status 502"):
            await http.request(tmp_path, "GET", "/status")


async def test_events_come_one_by_one_however_they_are_cut(tmp_path: Path) -> None:
    pieces = [b": passloop\n\n", b'id: 1\ndata: {"seq"', b': 1}\n\nid: 2\ndata: {"seq": 2}\n\n']
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"
    whole = b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    async with listening(tmp_path, whole) as asked, http.events(tmp_path, 7) as turns:
        assert [turn["seq"] async for turn in turns] == [1, 2]
    assert b"Last-Event-ID: 7" in asked[0]
