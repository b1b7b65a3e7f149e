"""HTTP on a port that every user of the machine can reach. Until it is known who asks (`guard.py`), a connection costs
the engine a descriptor: so there are only so many of them, and each has to say soon what it wants.
"""

from __future__ import annotations

import asyncio

import h11

from .connection import OwnConnection

__all__ = ["StrangerProtocol"]

MOST_CONNECTIONS = 200
"""So many at once. A browser has six for all its tabs."""
HEAD_SECONDS = 10.0
"""Seconds in which a request's head has to come, from the connection or its first byte on."""


class StrangerProtocol(OwnConnection):
    """One connection of somebody who is not known yet."""

    _limit: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self._await_head()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:  # what came is a part of a head
            self._await_head()
        else:
            self._await_no_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._await_no_head()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        if self._limit is None:
            self._limit = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _await_no_head(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
