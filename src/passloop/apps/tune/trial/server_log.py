"""The server's log: the first part of what it wrote and the last, with secrets taken out. Never grows without bound.

A secret that a server prints is replaced before it is written. What was cut out of the middle is counted. When the disk
is full the log ends, and the server's output is still taken, since a server that cannot write may stand still.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Collection
from pathlib import Path

__all__ = ["ServerLog"]

HEAD = 8 << 20
"""Bytes that are kept from the start."""
TAIL = 1 << 20
"""Bytes that are kept from the end."""
SEEN_HEAD = 64 << 10
SEEN_TAIL = 64 << 10
LONGEST_LINE = 64 << 10
SHORTEST_SECRET = 6
HIDDEN = b"***"


class ServerLog:
    """Takes bytes from any thread. `head` and `tail` are bytes kept of each end."""

    def __init__(self, path: Path, *, secrets: Collection[str] = (), head: int = HEAD, tail: int = TAIL) -> None:
        self._file = path.open("ab", buffering=0)
        self._secrets = [text.encode() for text in secrets if len(text) >= SHORTEST_SECRET]
        self._guard = threading.Lock()
        self._rest = b""
        self._head_left = head
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._tail_most = tail
        self._left_out = 0
        self._first: list[bytes] = []
        self._first_bytes = 0
        self._last: deque[bytes] = deque()
        self._last_bytes = 0

    def hide(self, secrets: Collection[str]) -> None:
        """From now on take these out, too."""
        with self._guard:
            self._secrets += [text.encode() for text in secrets if len(text) >= SHORTEST_SECRET]

    def write(self, piece: bytes) -> None:
        """Take the next bytes."""
        with self._guard:
            lines = (self._rest + piece).split(b"\n")
            self._rest = lines.pop()
            if len(self._rest) > LONGEST_LINE:
                lines.append(self._rest)
                self._rest = b""
            for line in lines:
                self._take(self._plain(line) + b"\n")

    def lines(self) -> list[str]:
        """The lines of both ends that are remembered, oldest first."""
        with self._guard:
            rest = [self._plain(self._rest)] if self._rest else []
            return [line.decode("utf-8", "replace").rstrip("\n") for line in [*self._first, *self._last, *rest]]

    def close(self) -> None:
        """Write what is left. Closing twice is allowed."""
        with self._guard:
            if self._file.closed:
                return
            if self._rest:
                self._take(self._plain(self._rest) + b"\n")
                self._rest = b""
            if self._left_out:
                self._put(b"... %d bytes are left out here ...\n" % self._left_out)
            for line in self._tail:
                self._put(line)
            self._file.close()

    def _put(self, line: bytes) -> None:
        with contextlib.suppress(OSError):
            self._file.write(line)

    def _plain(self, line: bytes) -> bytes:
        for secret in self._secrets:
            line = line.replace(secret, HIDDEN)
        return line

    def _take(self, line: bytes) -> None:
        self._remember(line)
        if self._file.closed:
            return
        if len(line) <= self._head_left:
            self._head_left -= len(line)
            self._put(line)
            return
        self._head_left = 0
        self._tail.append(line)
        self._tail_bytes += len(line)
        while self._tail_bytes > self._tail_most:
            dropped = len(self._tail.popleft())
            self._tail_bytes -= dropped
            self._left_out += dropped

    def _remember(self, line: bytes) -> None:
        if self._first_bytes < SEEN_HEAD:
            self._first.append(line)
            self._first_bytes += len(line)
            return
        self._last.append(line)
        self._last_bytes += len(line)
        while self._last_bytes > SEEN_TAIL:
            self._last_bytes -= len(self._last.popleft())
