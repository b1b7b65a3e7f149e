"""Lets a piece of work go on only while it may: within its time limit, while the server lives and is healthy.

The first of these ends decides; what was going on is cancelled and has ended before the failure is raised.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from passloop.apps.tune.engines.base import End, Server

from .failures import TrialFailure, classify, refused_flag
from .server_log import ServerLog

__all__ = ["TimeLeft", "died", "guarded"]

T = TypeVar("T")

DRAIN_SECONDS = 1.0


class TimeLeft:
    """The time limit of the work under way, which may be set anew while it goes on."""

    def __init__(self, limit: int, what: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self.over: asyncio.Future[str] = self._loop.create_future()
        self.set(limit, what)

    def set(self, limit: int, what: str) -> None:
        """From now on `limit` ms are left for `what`."""
        self.cancel()
        self._timer = self._loop.call_later(limit / 1000, self._end, f"{what} took longer than {limit / 1000:g} s")

    def cancel(self) -> None:
        """No limit any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _end(self, sentence: str) -> None:
        if not self.over.done():
            self.over.set_result(sentence)


async def guarded(
    work: Coroutine[Any, Any, T],
    left: TimeLeft,
    *,
    server: Server,
    log: ServerLog,
    health: Coroutine[Any, Any, None] | None = None,
) -> T:
    """The work's own result. Raises `TrialFailure` for a time that is over, a dead server and a sick one."""
    going = asyncio.ensure_future(work)
    watching = [asyncio.ensure_future(health)] if health is not None else []
    try:
        watched: list[asyncio.Future[Any]] = [going, left.over, server.ended, *watching]
        await asyncio.wait(watched, return_when=asyncio.FIRST_COMPLETED)
        if server.ended.done():
            raise await died(server, log)
        if left.over.done():
            raise TrialFailure("time_limit", left.over.result(), lines=classify(log.lines())[1])
        for watch in watching:
            if watch.done():
                watch.result()
        return await going
    finally:
        left.cancel()
        for task in (going, *watching):
            task.cancel()
        await asyncio.gather(going, *watching, return_exceptions=True)


async def died(server: Server, log: ServerLog) -> TrialFailure:
    """What the death of the server comes to, with the lines of its log that show it."""
    await server.drained(DRAIN_SECONDS)
    end: End = server.ended.result()
    kind, lines = classify(log.lines())
    if end.memory:
        kind = "out_of_memory"
    flag = refused_flag(lines, server.argv) if kind == "bad_flag" else ""
    said = f"the server refuses {flag}: it ended" if flag else "the server ended"
    failure = TrialFailure(kind, f"{said} by itself with {end}", lines=lines, memory=end.memory)
    failure.end = end
    return failure
