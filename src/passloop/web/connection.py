"""HTTP on connections that this process alone has: who is at the other end hears of its end at once.

Without it a client of an engine that was killed waits on while a child lives that its process had forked.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from passloop.forking import forget_own, note_own

__all__ = ["OwnConnection"]


class OwnConnection(H11Protocol):
    """One connection, which no forked child keeps open."""

    _number = -1

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        if connection is not None:
            self._number = connection.fileno()
            note_own(self._number)

    def connection_lost(self, exc: Exception | None) -> None:
        forget_own(self._number)
        super().connection_lost(exc)
