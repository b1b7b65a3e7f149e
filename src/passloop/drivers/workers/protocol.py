"""What driver and worker say to each other: frames of JSON over a Unix socket, four bytes of length first.

Records are the truth; whatever is said here only makes it known at once. Used by both sides, and by interpreters of
users, so it imports nothing that is not in the standard library.

    driver to worker   {"cell": ATTEMPT, ...}           run this after those that were said before
    worker to driver   {"worker": ID, "shim": {...}}    the first word on a connection, said between two cells
                       {"started": ATTEMPT}             its start record is made
                       {"exited": ATTEMPT, "record": {...}, "kept": BOOL}   its exit record is; kept: it lives on
                       {"taken": ATTEMPT}               its start record was made by somebody else; it was not run
"""

from __future__ import annotations

import json
from typing import Any

__all__ = ["DOOR", "SOCKET", "frame", "take_messages"]

DOOR = "door"
"""The socket in the folder of all workers at which the driver awaits new ones."""

SOCKET = "socket"
"""The socket in a worker's own folder, for an engine that comes later."""

_HEADER = 4
_encode = json.JSONEncoder(separators=(",", ":")).encode


def frame(message: dict[str, Any]) -> bytes:
    """One message as it is sent."""
    body = _encode(message).encode()
    return len(body).to_bytes(_HEADER, "big") + body


def take_messages(buffer: bytearray) -> list[dict[str, Any]]:
    """Take all complete messages from the front of `buffer`."""
    found: list[dict[str, Any]] = []
    start = 0
    while len(buffer) - start >= _HEADER:
        end = start + _HEADER + int.from_bytes(buffer[start : start + _HEADER], "big")
        if end > len(buffer):
            break
        found.append(json.loads(bytes(buffer[start + _HEADER : end])))
        start = end
    del buffer[:start]
    return found
