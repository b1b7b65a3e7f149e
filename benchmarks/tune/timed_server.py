"""`python -m benchmarks.tune.timed_server`: an OpenAI endpoint that keeps its own times, to tell what a client adds.

A token is written `--ttft` ms after the whole request was there, the others `--itl` ms apart. Each answer's usage says
its number in `prompt_tokens`; `GET /truth` gives what the server itself saw of each: ms from the whole request to the
first and to the last token. Whatever a client reports above that, it added (with the kernel's loopback in between).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from typing import Any

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
WORDS = b"alpha beta gamma delta"


class Timed:
    """What all connections share."""

    def __init__(self, ttft: float, itl: float, fail: int = 0) -> None:
        self.ttft, self.itl, self.fail = ttft / 1000, itl / 1000, fail
        self.asked = 0
        self.truth: list[list[float]] = []


class Connection(asyncio.Protocol):
    """One connection; requests come one at a time."""

    def __init__(self, timed: Timed) -> None:
        self._timed = timed
        self._loop = asyncio.get_running_loop()
        self._data = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._data += data
        head, found, body = self._data.partition(b"\r\n\r\n")
        if not found:
            return
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if len(body) < int(fields.get(b"content-length", b"0")):
            return
        self._data = b""
        self._answer(head.split(b" ")[1], body)

    def _answer(self, path: bytes, body: bytes) -> None:
        if b"completions" in path and self._fails():
            self._whole({"error": {"message": "it is its turn to fail"}}, status=b"500 Internal Server Error")
        elif b"completions" in path:
            Answer(self._timed, self._loop, self._transport, json.loads(body), chat=b"chat" in path).begin()
        elif path == b"/truth":
            self._whole(self._timed.truth)
        else:
            self._whole({"object": "list", "data": [{"id": "timed", "object": "model"}]})

    def _fails(self) -> bool:
        self._timed.asked += 1
        return self._timed.fail > 0 and self._timed.asked % self._timed.fail == 0

    def _whole(self, value: object, *, status: bytes = b"200 OK") -> None:
        data = json.dumps(value).encode()
        head = b"content-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(data)
        self._transport.write(b"HTTP/1.1 %s\r\n%s%s" % (status, head, data))


class Answer:
    """One answer under way: tokens at their times, by timers of the loop."""

    def __init__(
        self,
        timed: Timed,
        loop: asyncio.AbstractEventLoop,
        transport: asyncio.Transport,
        asked: dict[str, Any],
        *,
        chat: bool,
    ) -> None:
        self._timed, self._loop, self._transport = timed, loop, transport
        self._chat = chat
        self._count = int(asked.get("max_tokens") or asked.get("max_completion_tokens") or 32)
        self._place = 0
        self._number = len(timed.truth)
        timed.truth.append([0.0, 0.0])

    def begin(self) -> None:
        """The whole request is there."""
        self._received = time.monotonic()
        self._transport.write(HEAD)
        self._due = self._received + self._timed.ttft
        self._loop.call_at(self._due, self._token)

    def _token(self) -> None:
        text = "alpha" if self._place == 0 else " alpha"
        choice = {"index": 0, "finish_reason": None} | ({"delta": {"content": text}} if self._chat else {"text": text})
        data = _event({"id": "x", "object": "chat.completion.chunk", "model": "timed", "choices": [choice]})
        now = (time.monotonic() - self._received) * 1000
        self._timed.truth[self._number][0 if self._place == 0 else 1] = now
        self._place += 1
        if self._place < self._count:
            self._transport.write(data)
            self._due += self._timed.itl
            self._loop.call_at(self._due, self._token)
            return
        usage = {"prompt_tokens": self._number, "completion_tokens": self._count, "total_tokens": self._count}
        usage["total_tokens"] += self._number
        end = _event({"id": "x", "object": "chat.completion.chunk", "model": "timed", "choices": [], "usage": usage})
        self._transport.write(data + end + b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")


def _event(value: object) -> bytes:
    data = b"data: " + json.dumps(value).encode() + b"\n\n"
    return b"%x\r\n%s\r\n" % (len(data), data)


async def serve(timed: Timed, port: int) -> None:
    """Serve until killed; the first line on stdout is the port."""
    server = await asyncio.get_running_loop().create_server(lambda: Connection(timed), "127.0.0.1", port)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def main() -> None:
    """Serve."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ttft", type=float, default=50)
    parser.add_argument("--itl", type=float, default=10)
    parser.add_argument("--fail", type=int, default=0, help="each n-th completion is answered 500")
    given = parser.parse_args()
    try:
        asyncio.run(serve(Timed(given.ttft, given.itl, given.fail), given.port))
    except KeyboardInterrupt:
        sys.exit(0)


if __name__ == "__main__":
    main()
