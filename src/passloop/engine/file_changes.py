"""Who waits for files to be written: any number of waiters on one inotify instance, of which a user has few (128). Owns
which waiter is woken by which folder or file; reads none of them, and never polls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from passloop.store.inotify import Watcher

__all__ = ["FileChanges"]

OVERFLOW = -1
"""The watch that the system names when it has forgotten what happened."""


class FileChanges:
    """The waiters of one engine. Loop thread only. The instance is opened with the first, and lasts until `close`."""

    def __init__(self) -> None:
        self._watcher: Watcher | None = None
        self._waiters: dict[int, set[asyncio.Event]] = {}

    def open(self) -> Watcher:
        """The instance. Raises `OSError` if there is to be none."""
        if self._watcher is None:
            self._watcher = Watcher()
            asyncio.get_running_loop().add_reader(self._watcher.fileno(), self._hear)
        return self._watcher

    def close(self) -> None:
        """Wake all who wait, for the last time."""
        if self._watcher is not None:
            asyncio.get_running_loop().remove_reader(self._watcher.fileno())
            self._watcher.close()
            self._watcher = None
        self._wake(list(self._waiters))
        self._waiters.clear()

    @contextmanager
    def of(self, path: str, mask: int) -> Iterator[asyncio.Event]:
        """An event that is set whenever something of `mask` happens to the file or in the folder at `path`; all who
        wait for one path give the same mask. Raises `OSError` if it cannot be watched.
        """
        watch = self.open().add(path, mask)
        changed = asyncio.Event()
        self._waiters.setdefault(watch, set()).add(changed)
        try:
            yield changed
        finally:
            self._leave(watch, changed)

    def _leave(self, watch: int, changed: asyncio.Event) -> None:
        others = self._waiters.get(watch)
        if others is None:
            return
        others.discard(changed)
        if not others:
            del self._waiters[watch]
            if self._watcher is not None:
                self._watcher.remove(watch)

    def _hear(self) -> None:
        assert self._watcher is not None
        heard = {event.watch for event in self._watcher.drain()}
        self._wake(list(self._waiters) if OVERFLOW in heard else heard)

    def _wake(self, watches: list[int] | set[int]) -> None:
        for watch in watches:
            for changed in self._waiters.get(watch, ()):
                changed.set()
