"""How far the store had come, in a file of its own. It is written after a commit is durable and is not
synced.

So it can lag behind the store after a power cut but never be ahead of it, unless the store lost commits: a
log that was cut or damaged looks to SQLite like one that simply ends earlier. It never proves that a store is
whole.

It counts journal rows: batches and removals, which is all that anybody is told is done. What else the store commits has
no row, and a log that ends before it leaves what a kill just before it would have left: migrations, the home's id and
the clearing of old durations, which the next start does again, and samples, of which then the last few are lacking.
"""

from __future__ import annotations

import contextlib
import os
import struct
import zlib
from pathlib import Path

__all__ = ["Mark"]

_FORMAT = struct.Struct("<8sQI")
_NAME = b"passloop"


class Mark:
    """Keeps the number of the last durable journal row."""

    __slots__ = ("_descriptor", "_path")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor = -1

    def read(self) -> int:
        """The number, or 0 if there is none or it cannot be trusted."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return 0
        if len(data) != _FORMAT.size:
            return 0
        name, seq, checksum = _FORMAT.unpack(data)
        return seq if name == _NAME and checksum == zlib.crc32(data[:16]) else 0

    def write(self, seq: int) -> None:
        """Note `seq`. A failure is no failure of the commit: an old mark is still true."""
        body = _NAME + seq.to_bytes(8, "little")
        with contextlib.suppress(OSError):
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.pwrite(self._descriptor, body + zlib.crc32(body).to_bytes(4, "little"), 0)

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
