"""The ways to go down: let running work finish, leave it to the next engine, or end it. Waits for commits only."""

from __future__ import annotations

import asyncio
from enum import StrEnum

from passloop.kernel.tasks import LEASES

from .attempts import Attempts

__all__ = ["DownMode", "Quiet"]


class DownMode(StrEnum):
    """`drain` lets running attempts finish, `leave` lets them run on, `now` ends them and keeps their tasks."""

    DRAIN = "drain"
    LEAVE = "leave"
    NOW = "now"


class Quiet:
    """Tells when nothing runs any more. Strays do not count: no engine can end what it could not end before; nor do
    leases, which outlive the engine.
    """

    __slots__ = ("_attempts", "_waiters")

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts
        self._waiters: set[asyncio.Future[None]] = set()

    def note(self) -> None:
        """A turn was committed."""
        if self._waiters and self._reached():
            for waiter in self._waiters:
                if not waiter.done():
                    waiter.set_result(None)
            self._waiters.clear()

    async def wait(self) -> None:
        """Wait until no attempt runs."""
        if self._reached():
            return
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await waiter
        finally:
            self._waiters.discard(waiter)

    def _reached(self) -> bool:
        return all(row.state == "stray" or row.driver == LEASES for row in self._attempts.rows())
