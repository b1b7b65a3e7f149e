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
from collections.abc import Callable
from typing import Any

__all__ = ["DOOR", "HEADER", "SOCKET", "encoded", "end_frame", "frame", "take_messages"]

DOOR = "door"
"""The socket in the folder of all workers at which the driver awaits new ones."""

SOCKET = "socket"
"""The socket in a worker's own folder, for an engine that comes later."""

HEADER = 4
"""Bytes of length before each message."""

Decode = Callable[[bytes], dict[str, Any]]

encoded = json.JSONEncoder(separators=(",", ":")).encode
"""JSON text as it is said and recorded."""


def frame(message: dict[str, Any]) -> bytes:
    """One message as it is sent."""
    return _framed(encoded(message))


def end_frame(attempt: int, record: str, *, kept: bool) -> bytes:
    """That an attempt has ended, with its exit record as JSON text."""
    return _framed(f'{{"exited":{attempt},"record":{record},"kept":{"true" if kept else "false"}}}')


def _framed(text: str) -> bytes:
    body = text.encode()
    return len(body).to_bytes(HEADER, "big") + body


def take_messages(buffer: bytearray, decode: Decode = json.loads) -> list[dict[str, Any]]:
    """Take all complete messages from the front of `buffer`."""
    found: list[dict[str, Any]] = []
    start = 0
    while len(buffer) - start >= HEADER:
        end = start + HEADER + int.from_bytes(buffer[start : start + HEADER], "big")
        if end > len(buffer):
            break
        found.append(decode(bytes(buffer[start + HEADER : end])))
        start = end
    del buffer[:start]
    return found
