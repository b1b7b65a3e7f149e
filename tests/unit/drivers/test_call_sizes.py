"""What one call may keep in the engine is bounded, whatever an endpoint sends under status 200."""

from __future__ import annotations

import asyncio

import pytest

from passloop.drivers.calls import answers, client
from passloop.drivers.calls.answers import LONGEST_LINE, PIECE, StreamedAnswer
from passloop.drivers.calls.caller import CallRequest
from passloop.drivers.calls.client import Client
from passloop.drivers.calls.endpoints import Endpoint, Model
from passloop.drivers.calls.errors import Broken

PART = b"x" * 2**16
PARTS = 64


async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers with more than the client takes."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
    try:
        for _ in range(PARTS):
            writer.write(PART)
            await writer.drain()
    except ConnectionError:
        pass
    writer.close()


async def test_an_answer_without_end_is_read_no_further_than_an_answer_may_be_large(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client, "LARGEST", 2**20)
    listening = await asyncio.start_server(endless, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    asking = Client()
    request = CallRequest(Model(Endpoint(f"http://127.0.0.1:{port}/v1"), "m"), {"prompt": "x"}, key="cell")
    with pytest.raises(Broken, match="larger than 1 MiB"):
        await asking.call(request, {})
    await asking.close()
    listening.close()
    await listening.wait_closed()


def test_a_stream_whose_text_has_no_end_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LARGEST", 10 * (PIECE + 1))
    stream = StreamedAnswer()
    part = b'data: {"choices": [{"text": "x"}]}\n'
    stream.feed(part * 10)
    with pytest.raises(Broken, match="larger than"):
        stream.feed(part)


def test_a_stream_whose_line_has_no_end_is_no_answer() -> None:
    stream = StreamedAnswer()
    stream.feed(b"x" * LONGEST_LINE)
    with pytest.raises(Broken, match="larger than 16 MiB"):
        stream.feed(b"x")
