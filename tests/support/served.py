"""An engine served on its socket, and a small raw client for tests of what goes over the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from passloop.store.home import socket_address
from passloop.web.app import make_app
from passloop.web.host import EngineHost
from passloop.web.serve import SocketServer

from .engines import Rig

__all__ = ["Reply", "Served", "served"]


@dataclass(frozen=True)
class Reply:
    """A reply: status, header fields in small letters, body."""

    status: int
    fields: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Served:
    """A rig whose engine answers on the home's socket."""

    def __init__(self, rig: Rig, host: EngineHost) -> None:
        self.rig = rig
        self.host = host

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the socket."""
        with socket_address(self.rig.home.socket) as address:
            return await asyncio.open_unix_connection(address)

    async def ask(self, method: str, path: str, body: object = None, **fields: str) -> Reply:
        """One request to `/api/v1{path}`, with a body if one is given (bytes as they are, else as JSON)."""
        reader, writer = await self.connect()
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        writer.write(request_text(method, path, data, fields))
        raw = await reader.read()
        writer.close()
        await writer.wait_closed()
        head, _, rest = raw.partition(b"\r\n\r\n")
        fields = head_fields(head)
        chunked = fields.get("transfer-encoding") == "chunked"
        return Reply(int(head.split()[1]), fields, b"".join(chunks(rest)) if chunked else rest)

    async def get(self, path: str) -> Reply:
        return await self.ask("GET", path)

    async def post(self, path: str, body: object = None) -> Reply:
        return await self.ask("POST", path, {} if body is None else body)

    async def submit(self, count: int = 1, **rest: object) -> list[int]:
        """Submit `count` tasks that ask for one CPU; their ids."""
        tasks = [{"command": ["true"], "index": index} for index in range(count)]
        reply = await self.post("/submit", {"tasks": tasks, "cwd": "/", **rest})
        assert reply.status == 200, reply.body
        return list(reply.json()["tasks"])


def request_text(method: str, path: str, data: bytes, fields: dict[str, str]) -> bytes:
    """A request as it goes over the wire."""
    lines = [f"{method} /api/v1{path} HTTP/1.1", "Host: passloop", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in fields.items()]
    if data:
        lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def chunks(text: bytes) -> Iterator[bytes]:
    """The pieces of a chunked body; whoever sent it must also have ended it."""
    while True:
        size, _, text = text.partition(b"\r\n")
        if size == b"0":
            return
        yield text[: int(size, 16)]
        text = text[int(size, 16) + 2 :]


def head_fields(head: bytes) -> dict[str, str]:
    """The header fields of a reply."""
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}


@asynccontextmanager
async def served(path: Path, *, cpus: int = 2) -> AsyncIterator[Served]:
    """A started engine in `path`, served on its socket until the end of the block."""
    rig = Rig(path, cpus=cpus)
    await rig.open().start()
    host = EngineHost(rig.engine)
    server = SocketServer(make_app(host), rig.home.socket)
    await server.start()
    try:
        yield Served(rig, host)
    finally:
        rig.engine.hang_up()
        await server.stop()
        await rig.close()
