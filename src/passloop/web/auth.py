"""Who may talk to the engine: over the Unix socket only the user it runs as. Decided before anything is read.

The system says who is at the other end (SO_PEERCRED); it cannot be forged. Folder and socket modes keep others away
already; this also stops a descriptor that was handed on, and root acting as nobody in particular.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from typing import Any

from .connection import OwnConnection
from .errors import ErrorBody, error_reply

__all__ = ["SameUserProtocol", "peer_uid"]

_CREDENTIALS = struct.Struct("3i")


def peer_uid(connection: Any) -> int | None:
    """The user id at the other end of a Unix socket; None if the socket is of another family."""
    if connection is None or connection.family != socket.AF_UNIX:
        return None
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _pid, uid, _gid = _CREDENTIALS.unpack(raw)
    return int(uid)


async def _not_allowed(scope: Any, receive: Any, send: Any) -> None:
    """The application of everybody else: it says no to everything."""
    body = ErrorBody(
        code="not_allowed",
        message=f"this engine belongs to user {os.geteuid()} and answers nobody else",
        hint="use an engine of your own: passloop --home DIRECTORY up",
        exit=6,
    )
    await error_reply(403, body)(scope, receive, send)


class SameUserProtocol(OwnConnection):
    """HTTP for the same user; for everybody else every request is refused."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        if peer_uid(transport.get_extra_info("socket")) != os.geteuid():
            self.app = _not_allowed
