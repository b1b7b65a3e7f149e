"""A model server with fixed times and scripted faults, to test and measure what starts, loads and stops servers.

    python -m passloop.testing.server --port 8080 --start 500 --ttft 50 --tpot 10 --parallel 4

It answers `/health`, `/v1/models`, `/version`, `/v1/completions` and `/v1/chat/completions` (whole or as a stream, with
usage) and counts what is POSTed to `/reset`. It loads nothing beyond the standard library, so that it starts at once,
and times its tokens from the moment a request got its turn, so that no error adds up.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

from .server_script import ServerScript, script_of

__all__ = ["ScriptedServer", "main"]

REASONS = {200: "OK", 404: "Not Found", 429: "Too Many Requests", 500: "Internal Server Error", 503: "Unavailable"}
VERSION = "scripted-1"


class ScriptedServer:
    """Plays a `ServerScript` until it is told to end."""

    def __init__(self, script: ServerScript) -> None:
        self._script = script
        self._began = time.monotonic()
        self._turns = asyncio.Semaphore(script.parallel or 1_000_000)
        self._hanging = asyncio.Event()
        self._completions = 0
        self._serving = 0
        self._server: asyncio.Server | None = None
        self.resets = 0
        self.port = script.port

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"http://{self._script.host}:{self.port}"

    async def start(self) -> None:
        """Listen; with `late_listen` only once it is ready. Port 0 takes a free one."""
        script = self._script
        if script.late_listen:
            await asyncio.sleep(self._until_ready())
        self._server = await asyncio.start_server(self._connection, script.host, script.port)
        self.port = self._server.sockets[0].getsockname()[1]
        self._note("listening", port=self.port)

    def stop(self) -> None:
        """Listen no more; what hangs is let go."""
        self._hanging.set()
        if self._server is not None:
            self._server.close()

    def _until_ready(self) -> float:
        return max(0.0, self._began + self._script.start / 1000 - time.monotonic())

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while await self._one(reader, writer):
                await writer.drain()
        writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; whether there may be another on this connection."""
        first = (await reader.readline()).split()
        if len(first) < 2:
            return False
        headers = {}
        while (line := (await reader.readline()).strip()) != b"":
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip()
        body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
        if self._hangs():
            await self._hanging.wait()
        await self._route(first[0].decode(), first[1].decode(), body, writer)
        return headers.get(b"connection", b"").lower() != b"close"

    def _hangs(self) -> bool:
        return 0 <= self._script.hang_after <= self._completions

    async def _route(self, method: str, path: str, body: bytes, writer: asyncio.StreamWriter) -> None:
        if path in ("/v1/completions", "/v1/chat/completions"):
            await self._complete(json.loads(body), writer, chat="chat" in path)
        elif path == "/health":
            self._answer(writer, self._health(), {})
        elif path == "/v1/models":
            self._answer(writer, 200, {"object": "list", "data": [{"id": self._script.model, "object": "model"}]})
        elif path == "/version":
            self._answer(writer, 200, {"version": VERSION})
        elif path == "/reset" and method == "POST":
            self.resets += 1
            self._note("reset")
            self._answer(writer, 200, {"resets": self.resets})
        else:
            self._answer(writer, 404, {"error": {"message": f"there is no {path}"}})

    def _health(self) -> int:
        script = self._script
        if 0 <= script.sick_after <= self._completions:
            return 500
        return 503 if script.never_ready or self._until_ready() > 0 else 200

    async def _complete(self, asked: Mapping[str, Any], writer: asyncio.StreamWriter, *, chat: bool) -> None:
        script = self._script
        number, self._completions = self._completions, self._completions + 1
        self._note("completion", number=number, model=asked.get("model"))
        if 0 <= script.die_after <= number:
            os.kill(os.getpid(), signal.SIGKILL)
        if self._hangs():
            await self._hanging.wait()
        if script.status != 200:
            self._answer(writer, script.status, {"error": {"message": f"scripted to answer {script.status}"}})
            return
        count = int(asked.get("max_tokens") or asked.get("max_completion_tokens") or 16)
        count = min(count, script.tokens) if script.tokens else count
        async with self._turns:
            self._serving += 1
            try:
                await self._say(asked, writer, count, chat=chat)
            finally:
                self._serving -= 1
        self._note("answered", number=number)

    async def _say(self, asked: Mapping[str, Any], writer: asyncio.StreamWriter, count: int, *, chat: bool) -> None:
        words = [f"w{place}" if place == 0 else f" w{place}" for place in range(count)]
        told = {"prompt_tokens": max(1, len(str(asked.get("messages") or asked.get("prompt", "")).split()))}
        usage = {**told, "completion_tokens": count, "total_tokens": told["prompt_tokens"] + count}
        common = {"id": "scripted", "model": self._script.model}
        if not asked.get("stream"):
            async for _ in self._times(count):
                continue
            text = "".join(words)
            choice = {"message": {"role": "assistant", "content": text}} if chat else {"text": text}
            self._answer(writer, 200, {**common, "choices": [{**choice, "finish_reason": "length"}], "usage": usage})
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        async for place in self._times(count):
            choice = {"delta": {"content": words[place]}} if chat else {"text": words[place]}
            finish = "length" if place == count - 1 else None
            _event(writer, json.dumps({**common, "choices": [{**choice, "index": 0, "finish_reason": finish}]}))
            await writer.drain()
        if (asked.get("stream_options") or {}).get("include_usage"):
            _event(writer, json.dumps({**common, "choices": [], "usage": usage}))
        _event(writer, "[DONE]")
        writer.write(b"0\r\n\r\n")

    async def _times(self, count: int) -> AsyncIterator[int]:
        """Each token's place, at the moment it is due."""
        due = time.monotonic() + self._script.ttft / 1000
        for place in range(count):
            if place > 0:
                due += self._script.tpot * (1 + self._script.batch_cost / 1000 * (self._serving - 1)) / 1000
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            yield place

    @staticmethod
    def _answer(writer: asyncio.StreamWriter, status: int, body: Mapping[str, Any]) -> None:
        data = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} {REASONS.get(status, 'Scripted')}\r\ncontent-type: application/json\r\n"
        writer.write(head.encode() + b"content-length: %d\r\n\r\n" % len(data) + data)

    def _note(self, event: str, **fields: object) -> None:
        if self._script.log:
            with Path(self._script.log).open("a", encoding="utf-8") as file:
                file.write(json.dumps({"event": event, "pid": os.getpid(), **fields}) + "\n")


def _event(writer: asyncio.StreamWriter, text: str) -> None:
    data = b"data: " + text.encode() + b"\n\n"
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))


def _leave_child() -> None:
    """A process in a session of its own that SIGTERM does not end."""
    if os.fork() == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        while True:
            signal.pause()


def _fail_at_start(script: ServerScript) -> None:
    if script.own_word:
        Path(os.environ["PASSLOOP_OUT"], "outcome.json").write_text(script.own_word, encoding="utf-8")
    sys.exit(script.exit_at_start)


async def _serve(script: ServerScript) -> None:
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, (lambda: None) if script.ignore_term else ended.set)
    if not script.never_listen:
        await ScriptedServer(script).start()
    await ended.wait()


def main(arguments: list[str] | None = None) -> None:
    """Play the script of the command line until SIGTERM or Ctrl-C."""
    script = script_of(arguments)
    if script.say:
        print(script.say, file=sys.stderr, flush=True)
    if script.leave_child:
        _leave_child()
    if script.exit_at_start >= 0:
        _fail_at_start(script)
    try:
        asyncio.run(_serve(script))
    except OSError as error:
        sys.exit(f"{script.host}:{script.port}: {error.strerror or error}")


if __name__ == "__main__":
    main()
