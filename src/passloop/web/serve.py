"""Serves an application on the home's Unix socket, with uvicorn but without its tick. Serves nothing over TCP.

uvicorn's own main loop wakes ten times a second; this one sleeps until it is told to end. Whoever connects must be
the user that the engine runs as: the kernel says who it is, and the application is never asked for anybody else.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Generator
from pathlib import Path

import uvicorn
from fastapi import FastAPI

from passloop.store.home import socket_address

from .auth import SameUserProtocol

__all__ = ["SocketServer"]

BACKLOG = 512


class _QuietServer(uvicorn.Server):
    """A uvicorn server that neither ticks nor takes over signals."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.leaving = asyncio.Event()
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        """Sleep until told to leave."""
        await self.leaving.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to whoever runs the engine."""
        yield


class SocketServer:
    """One application on one Unix socket, between `start` and `stop`."""

    def __init__(self, app: FastAPI, path: Path) -> None:
        self._path = path
        config = uvicorn.Config(
            app,
            http=SameUserProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            date_header=False,
            server_header=False,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=2,
        )
        self._server = _QuietServer(config)
        self._serving: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen; connections are accepted when this returns."""
        listener = _listen(self._path)
        self._serving = asyncio.get_running_loop().create_task(self._server.serve(sockets=[listener]))
        ready = asyncio.get_running_loop().create_task(self._server.ready.wait())
        await asyncio.wait({self._serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._serving.done():
            await self._serving

    async def stop(self) -> None:
        """Let requests under way be answered, then close. The socket's file goes first, so that nobody comes anew."""
        self._path.unlink(missing_ok=True)
        self._server.leaving.set()
        if self._serving is not None:
            await self._serving


def _listen(path: Path) -> socket.socket:
    """A listening socket at `path`. The home's lock is ours, so a file left there is nobody's."""
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with socket_address(path) as address:
            listener.bind(address)
        path.chmod(0o600)
        listener.listen(BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener
