"""The way to a home's engine: the one that owns it, or an engine in this process where nobody does.

Embedded or not, everything is asked over the socket, so both behave alike. When the engine goes away (its program
ended, it was killed), the next request finds the one that took its place, or becomes it; what runs is found again.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

from . import http
from .errors import EngineGone, told

__all__ = ["Door", "home_path"]

BETWEEN_BIND_AND_LISTEN = 0.05
"""Seconds; the one instant of an engine's start for which no file system event tells."""


def home_path(home: str | os.PathLike[str] | None) -> Path:
    """The home meant: this one, else `PASSLOOP_HOME`, else the user's own (the XDG state directory)."""
    named = os.fspath(home) if home is not None else os.environ.get("PASSLOOP_HOME")
    if named:
        return Path(named).expanduser().absolute()
    from platformdirs import user_state_path

    return user_state_path("passloop")


class Door:
    """Requests to the engine of the home at `path`, from `open` to `close`. `virtual_gpus` is for an embedded one."""

    def __init__(self, path: Path, *, virtual_gpus: str | None = None) -> None:
        self.path = path
        self.embedded = False
        self._virtual_gpus = virtual_gpus
        self._entering = asyncio.Lock()
        self._hosting: asyncio.Task[None] | None = None
        self._leave = asyncio.Event()
        self._told_down = False

    async def open(self) -> None:
        """Make sure that there is an engine. Raises `PassloopError` if the home cannot be used."""
        async with self._entering:
            while not await self._found() and not await self._host():
                await self._change_of_owner()

    async def close(self) -> None:
        """Close the embedded engine, if it is one; what runs is left to the next engine."""
        self._leave.set()
        hosting, self._hosting, self.embedded = self._hosting, None, False
        if hosting is not None:
            await hosting

    async def get(self, path: str, query: http.Query = ()) -> http.Json:
        """GET `/api/v1{path}`, of the next engine if this one goes away meanwhile."""
        return await self._ask("GET", path, query, None, repeatable=True)

    async def post(self, path: str, body: Mapping[str, Any], *, repeatable: bool = False) -> http.Json:
        """POST a JSON document. What may be done twice is `repeatable`; else a lost answer raises `EngineGone`."""
        return await self.post_bytes(path, json.dumps(body).encode(), repeatable=repeatable)

    async def post_bytes(self, path: str, body: bytes, *, repeatable: bool = False) -> http.Json:
        """POST a document that is JSON already."""
        return await self._ask("POST", path, (), body, repeatable=repeatable)

    async def turns(self) -> AsyncGenerator[http.Json | None, None]:
        """Every turn from now on: first None, when following has begun; then what each turn changed, without gaps."""
        seen: int | None = None
        while True:
            async with aclosing(self._turns_of_one_engine(seen)) as turns:
                async for turn in turns:
                    seen = seen if turn is None else turn["seq"]
                    yield turn
            await self.open()

    async def _turns_of_one_engine(self, after: int | None) -> AsyncGenerator[http.Json | None, None]:
        with contextlib.suppress(http.NoEngine, http.Unanswered, http.Stopping):
            async with http.events(self.path, after) as turns:
                if after is None:
                    yield None
                async for turn in turns:
                    yield turn

    async def _ask(
        self, method: str, path: str, query: http.Query, body: bytes | None, *, repeatable: bool
    ) -> http.Json:
        while True:
            try:
                return await http.request(self.path, method, path, query=query, body=body)
            except http.Unanswered as lost:
                if not repeatable:
                    message = f"the engine of {self.path} went away before it answered; it may have done what was asked"
                    raise EngineGone(message, hint="look with passloop ls, then submit again") from lost
            except (http.NoEngine, http.Stopping):
                pass
            await self.open()

    async def _found(self) -> bool:
        """Whether an engine answers."""
        try:
            await http.request(self.path, "GET", "/status")
        except (http.NoEngine, http.Unanswered, http.Stopping):
            return False
        return True

    async def _host(self) -> bool:
        """Become the engine; False if another process owns the home."""
        from passloop.store.errors import HomeBusy

        if self._told_down:
            raise EngineGone(f"the engine of {self.path}, in this process, was told to go down")
        if self._hosting is not None:
            hosting, self._hosting, self.embedded = self._hosting, None, False
            await hosting
        ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        hosting = asyncio.get_running_loop().create_task(self._be_engine(ready), name="passloop-engine")
        try:
            await asyncio.wait({hosting, ready}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            hosting.cancel()
            await asyncio.wait([hosting])
            raise
        if ready.done():
            self._hosting, self.embedded = hosting, True
            return True
        try:
            with told():
                await hosting
        except Exception as wrong:
            if isinstance(wrong.__cause__, HomeBusy):
                return False
            raise
        return True

    async def _be_engine(self, ready: asyncio.Future[None]) -> None:
        """Own the home until told to leave. It runs in one task of its own, whoever opened it."""
        from passloop.cli.launching import engine_environment
        from passloop.engine.settings import EngineSettings
        from passloop.web.host import open_host

        environment = engine_environment({"virtual_gpus": self._virtual_gpus})
        async with AsyncExitStack() as stack:
            host = await stack.enter_async_context(open_host(self.path, EngineSettings(environ=environment)))
            ready.set_result(None)
            down = asyncio.ensure_future(host.wait_down())
            leave = asyncio.ensure_future(self._leave.wait())
            await asyncio.wait({down, leave}, return_when=asyncio.FIRST_COMPLETED)
            self._told_down = not leave.done()
            down.cancel()
            leave.cancel()
            await asyncio.wait({down, leave})

    async def _change_of_owner(self) -> None:
        """Wait until the engine that comes up answers, or the one that goes down is gone."""
        from passloop.store.home import Home, owner_of
        from passloop.store.inotify import CREATED, RELEASED

        home = Home(self.path)
        async with _watched(self.path, CREATED | RELEASED) as changed:
            while owner_of(home) is not None and not await self._found():
                await _next_change(changed, BETWEEN_BIND_AND_LISTEN if home.socket.exists() else None)


async def _next_change(changed: asyncio.Event, seconds: float | None) -> None:
    """Wait until something has changed, `seconds` at most."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(changed.wait(), seconds)
    changed.clear()


@asynccontextmanager
async def _watched(folder: Path, mask: int) -> AsyncIterator[asyncio.Event]:
    """An event that is set whenever something in `folder` changes."""
    from passloop.store.inotify import watcher

    changed = asyncio.Event()
    loop = asyncio.get_running_loop()
    with watcher() as watch:

        def note() -> None:
            watch.drain()
            changed.set()

        watch.add(str(folder), mask)
        loop.add_reader(watch.fileno(), note)
        try:
            yield changed
        finally:
            loop.remove_reader(watch.fileno())
