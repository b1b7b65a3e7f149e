"""Serves an application on a listening socket with uvicorn, but without its tick: on the home's Unix socket, and for
the page on 127.0.0.1. Who may ask is decided before the application: see `auth.py` and `guard.py`.

uvicorn's own main loop wakes ten times a second; this one sleeps until it is told to end.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Generator
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from passloop.forking import own_socket
from passloop.store.home import socket_address

from .accepting import tell_wants_seldom
from .auth import SameUserProtocol
from .strangers import StrangerProtocol

__all__ = ["LOOPBACK", "SocketServer", "TcpServer", "listen_on_loopback"]

BACKLOG = 2048
"""So many connections the system keeps for us until we take them."""
AT_ONCE = 64
"""So many of them asyncio takes, or fails to take, in one go."""
LOOPBACK = "127.0.0.1"


class _QuietServer(uvicorn.Server):
    """A uvicorn server that neither ticks nor takes over signals."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.leaving = asyncio.Event()
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets=sockets)
        for listener in sockets or ():
            listener.listen(BACKLOG)  # uvicorn has one figure for both
        self.ready.set()

    async def main_loop(self) -> None:
        """Sleep until told to leave."""
        await self.leaving.wait()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Leave signals to whoever runs the engine."""
        yield


class _Serving:
    """One application, served between `begin` and `end`."""

    def __init__(self, app: Any, protocol: type[H11Protocol]) -> None:
        config = uvicorn.Config(
            app,
            http=protocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            date_header=False,
            server_header=False,
            proxy_headers=False,
            backlog=AT_ONCE,
            timeout_keep_alive=60,
            timeout_graceful_shutdown=2,
        )
        self._server = _QuietServer(config)
        self._serving: asyncio.Task[None] | None = None

    async def begin(self, listener: socket.socket) -> None:
        """Serve; connections are accepted when this returns."""
        loop = asyncio.get_running_loop()
        tell_wants_seldom(loop)
        self._serving = loop.create_task(self._server.serve(sockets=[listener]))
        ready = loop.create_task(self._server.ready.wait())
        await asyncio.wait({self._serving, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._serving.done():
            await self._serving

    async def end(self) -> None:
        """Let requests under way be answered, then close."""
        self._server.leaving.set()
        if self._serving is not None:
            await self._serving


class SocketServer:
    """One application on one Unix socket, between `start` and `stop`, for the user that the engine runs as alone."""

    def __init__(self, app: Any, path: Path) -> None:
        self._path = path
        self._serving = _Serving(app, SameUserProtocol)

    async def start(self) -> None:
        """Listen; connections are accepted when this returns."""
        await self._serving.begin(_listen(self._path))

    def hide(self) -> None:
        """Let nobody come anew: who looks for an engine from now on waits for the next one."""
        self._path.unlink(missing_ok=True)

    async def stop(self) -> None:
        """Let requests under way be answered, then close."""
        self.hide()
        await self._serving.end()


class TcpServer:
    """One application on a socket that listens already, between `start` and `stop`."""

    def __init__(self, app: Any, listener: socket.socket) -> None:
        self._listener = listener
        self._serving = _Serving(app, StrangerProtocol)

    async def start(self) -> None:
        """Accept connections."""
        await self._serving.begin(self._listener)

    async def stop(self) -> None:
        """Let requests under way be answered, then close."""
        await self._serving.end()


def listen_on_loopback(*ports: int) -> socket.socket:
    """A socket that listens on 127.0.0.1, on the first of these ports that is free (0: any). Raises `OSError`."""
    taken = OSError(errno.EADDRINUSE, "the port is taken")
    for port in ports:
        # asyncio lets answers go out at once (TCP_NODELAY) only where the socket says that it speaks TCP.
        listener = own_socket(socket.AF_INET, socket.IPPROTO_TCP)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((LOOPBACK, port))
            listener.listen(BACKLOG)
            listener.setblocking(False)
        except OSError as error:
            listener.close()
            taken = error
        except BaseException:
            listener.close()
            raise
        else:
            return listener
    raise taken


def _listen(path: Path) -> socket.socket:
    """A listening socket at `path`. The home's lock is ours, so a file left there is nobody's."""
    path.unlink(missing_ok=True)
    listener = own_socket(socket.AF_UNIX)
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
