"""An engine with its page served on 127.0.0.1, and a raw client that says exactly what a test wants it to say."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from passloop.web.app import make_app
from passloop.web.host import EngineHost
from passloop.web.page import open_page
from passloop.web.statics import STATIC

from .engines import Rig
from .served import Reply, Served, chunks, head_fields

__all__ = ["Paged", "paged"]


class Paged(Served):
    """A rig whose engine answers on the page's port; `ask` and its like go there, with the token unless told not to."""

    @property
    def port(self) -> int:
        return self.host.page.port

    @property
    def token(self) -> str:
        return self.rig.home.token.read_text().strip()

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to the port."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def ask(self, method: str, path: str, body: object = None, **fields: str) -> Reply:
        """One request to `/api/v1{path}` with the token."""
        said = {"Authorization": f"Bearer {self.token}", **fields}
        return await self.bare(method, f"/api/v1{path}", body, **said)

    async def bare(self, method: str, target: str, body: object = None, **fields: str) -> Reply:
        """One request that says nothing but what is given, and the right Host unless another is."""
        return await self.raw(self.text(method, target, body, **fields))

    def text(self, method: str, target: str, body: object = None, **fields: str) -> bytes:
        """Such a request as it goes over the wire."""
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        said = {"Host": f"127.0.0.1:{self.port}", **fields, "Connection": "close"}
        lines = [f"{method} {target} HTTP/1.1", *(f"{n.replace('_', '-')}: {v}" for n, v in said.items() if v)]
        if data:
            lines += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + data

    async def raw(self, text: bytes) -> Reply:
        """Send this and read the reply to its end."""
        reader, writer = await self.connect()
        writer.write(text)
        async with asyncio.timeout(20):
            head, _, rest = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
        fields = head_fields(head)
        chunked = fields.get("transfer-encoding") == "chunked"
        return Reply(int(head.split()[1]), fields, b"".join(chunks(rest)) if chunked else rest)

    async def cookie(self) -> str:
        """The cookie that a one-time address sets."""
        made = self.host.page.one_time_url()
        assert made is not None
        reply = await self.bare("GET", "/open/" + made.url.rpartition("/")[2])
        return reply.fields["set-cookie"].partition(";")[0]


@asynccontextmanager
async def paged(path: Path, *, cpus: int = 2, folder: Path = STATIC) -> AsyncIterator[Paged]:
    """A started engine in `path` whose page is served until the end of the block."""
    rig = Rig(path, cpus=cpus)
    await rig.open().start()
    host = EngineHost(rig.engine)
    host.page = await open_page(make_app(host), rig.home, rig.clock, "auto", folder=folder)
    assert host.page.url, host.page.absent
    try:
        yield Paged(rig, host)
    finally:
        rig.engine.hang_up()
        await host.page.stop()
        await rig.close()
