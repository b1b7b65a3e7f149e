"""Copies the store beside itself, from which `doctor --repair` takes what a damaged one lost: daily and at a `down`.

It has no timer: it is told of commits, so an engine at rest copies nothing. The copy is made off the loop and appears
whole or not at all; one that cannot be made is said on standard error and tried again an hour later. It must never take
the room on the disk that the store itself needs.
"""

from __future__ import annotations

import asyncio
import shutil
import sys

from passloop.clock import Clock
from passloop.store.database import Store
from passloop.store.errors import StoreError, StoreFull

from .pause import BALLAST_BYTES

__all__ = ["Backups"]

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
FIRST_AFTER = 10 * MINUTE
"""How long (ms) a new home is used before its first copy."""


class Backups:
    """Takes copies between `start` and `stop`. Loop thread only."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._due = 0
        self._copying: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """See how old the last copy is."""
        try:
            last = self._store.home.backup.stat().st_mtime_ns // 1_000_000
        except FileNotFoundError:
            self._due = self._clock.now() + FIRST_AFTER
            return
        age = max(0, self._clock.wall() - last)
        self._due = self._clock.now() + max(0, DAY - age)

    async def stop(self) -> None:
        """Wait for a copy under way."""
        if self._copying is not None:
            await self._copying

    def note(self) -> None:
        """Something was committed: take a copy if one is due."""
        if self._clock.now() >= self._due and self._copying is None:
            self._due = self._clock.now() + DAY
            self._begin()

    async def take(self) -> None:
        """Copy the store as it is now, for an engine that is about to end."""
        await self.stop()
        await self._begin()

    def _begin(self) -> asyncio.Task[None]:
        self._copying = asyncio.get_running_loop().create_task(self._copy(), name="passloop-backup")
        return self._copying

    async def _copy(self) -> None:
        try:
            await asyncio.to_thread(self._copy_if_there_is_room)
        except (StoreError, OSError) as error:
            self._due = self._clock.now() + HOUR
            print(f"passloop: no backup of the store was made: {error}", file=sys.stderr)
        finally:
            self._copying = None

    def _copy_if_there_is_room(self) -> None:
        home = self._store.home
        size, free = home.database.stat().st_size, shutil.disk_usage(home.path).free
        if free < size + BALLAST_BYTES:
            what = f"it would take {size >> 20} of the {free >> 20} MiB that are left in {home.path}"
            raise StoreFull(what, hint="Free space on this disk.")
        self._store.backup()
