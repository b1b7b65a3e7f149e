"""How a shim tells the engine: one datagram to the socket `reports` in the home, ignored if nobody listens.

The home is held open as a folder, so that its path may be long and a new engine may bind the socket again.
The records are the truth; a report only makes it known at once. Must never block a shim for longer than
`PATIENCE`.
"""

from __future__ import annotations

import os
import socket
import struct

__all__ = ["SOCKET", "Reporter", "socket_path"]

SOCKET = "reports"
PATIENCE = 1.0
"""Seconds to wait for a busy engine's queue before a report is given up."""


def socket_path(home: int) -> str:
    """A path of the socket that is short however deep the home lies; `home` is the open folder."""
    return f"/proc/self/fd/{home}/{SOCKET}"


class Reporter:
    """Sends reports. `failed` tells whether one was not delivered."""

    __slots__ = ("_path", "_socket", "failed")

    def __init__(self, home: int) -> None:
        self._path = socket_path(home)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        seconds = int(PATIENCE)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", seconds, 0))
        self.failed = False

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def send(self, kind: bytes, record: bytes) -> None:
        """Send `record` (JSON) under `kind`. An engine that is away or stuck finds the records later."""
        try:
            self._socket.sendto(kind + b"\n" + record, self._path)
        except OSError:
            self.failed = True


def open_home(home: bytes) -> int:
    """Open the home as a folder for `Reporter`."""
    return os.open(home, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
