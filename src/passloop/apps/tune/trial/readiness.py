"""Waits until our server is ready, and watches that it stays healthy while it is measured.

A server is another program: nothing tells when it is ready, so it is asked, at a bounded rate. "Ready" is a good answer
on a port on which our own server listens; an answer of somebody else's server is a clash of ports, never readiness.
"""

from __future__ import annotations

import asyncio

from passloop.apps.tune.engines.base import Holder, Server

from .failures import TrialFailure
from .http import NoAnswer, Reply, ask

__all__ = ["Health", "PortClash", "wait_ready"]

FIRST_PAUSE = 0.02
LAST_PAUSE = 0.1
GROWTH = 1.3
PROBE_SECONDS = 5.0
PROBES_WITHIN = 4
"""Probes of its health within the time in which one has to be answered."""


class PortClash(TrialFailure):
    """Somebody else listens on the server's port."""

    def __init__(self, message: str) -> None:
        super().__init__("port", message)


class Health:
    """The health path of one server, and what was last said there."""

    def __init__(self, server: Server, host: str, port: int, path: str) -> None:
        self._server = server
        self._host = host
        self._port = port
        self._path = path
        self.last = "nobody listened on its port"

    async def is_ready(self) -> bool:
        """Ask once. Raises `PortClash`."""
        holder = self._server.holder(self._port)
        if holder is Holder.OTHERS:
            raise PortClash(f"port {self._port} is used by another process than our server")
        if holder is Holder.HIDDEN:
            self.last = f"it cannot be seen whether it is our server that listens on port {self._port}"
        if holder is not Holder.OURS:
            return False
        reply = await self.ask()
        return reply is not None and reply.good

    async def ask(self, seconds: float = PROBE_SECONDS) -> Reply | None:
        """Ask for its health whoever it is; None for no answer."""
        try:
            reply = await ask(self._host, self._port, self._path, seconds=seconds)
        except NoAnswer as nothing:
            self.last = f"GET {self._path}: {nothing}"
            return None
        self.last = f"GET {self._path} was answered {reply.status}"
        return reply

    async def watch(self, limit: int) -> None:
        """Probe until there was no good answer for `limit` ms, then raise `TrialFailure`; else never end.

        No answer at all in that time is `time_limit` (it hangs), a bad one is `crash` (it says that it is broken).
        """
        clock = asyncio.get_running_loop().time
        pause = limit / 1000 / PROBES_WITHIN
        last_good, kind = clock(), "time_limit"
        while True:
            await asyncio.sleep(pause)
            reply = await self.ask(min(PROBE_SECONDS, pause))
            if reply is not None and reply.good:
                last_good, kind = clock(), "time_limit"
                continue
            kind = kind if reply is None else "crash"
            if clock() - last_good >= limit / 1000:
                raise TrialFailure(kind, f"the server was not healthy for {limit / 1000:g} s: {self.last}")


async def wait_ready(health: Health) -> None:
    """Return once our own server gives a good answer. Raises `PortClash`; keeps no time limit."""
    pause = FIRST_PAUSE
    while not await health.is_ready():
        await asyncio.sleep(pause)
        pause = min(LAST_PAUSE, pause * GROWTH)
