"""Who follows the journal. Each follower reads rows from the store and sleeps until a commit adds more; or it only
hears how far the journal is, now and then, and then looks for itself at what it wants to know.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

from passloop.store.journal import JournalRow

from .reading import Reading

__all__ = ["Feed"]

ROWS_AT_ONCE = 200


class Feed:
    """Gives the journal as it grows. Live and replayed rows come the same way, so that none is missed or doubled."""

    def __init__(self, reading: Reading, last: int) -> None:
        self._reading = reading
        self.last = last
        self._grown: asyncio.Future[None] | None = None
        self._end = asyncio.Event()

    def note(self, seq: int) -> None:
        """The journal has grown up to row `seq`; those of turns and of removals may be told out of order."""
        self.last = max(self.last, seq)
        self._wake()

    def close(self) -> None:
        """End all streams after what is committed."""
        self._end.set()
        self._wake()

    async def after(self, seq: int) -> AsyncIterator[list[JournalRow]]:
        """Rows after `seq`, some at a time, until the engine closes."""
        while True:
            while seq < self.last:
                rows = await self._rows(seq)
                seq = rows[-1].seq if rows else self.last
                if rows:
                    yield rows
            if self._end.is_set():
                return
            if seq >= self.last:
                await self._growth()

    async def marks(self, seq: int, *, pause: float) -> AsyncIterator[int]:
        """The number of the newest row, whenever it is beyond `seq`, with `pause` seconds between two of them, until
        the engine closes. It costs a turn nothing, however many there are.
        """
        while not self._end.is_set():
            if seq >= self.last:
                await self._growth()
            if seq < self.last:
                seq = self.last
                yield seq
                await self._closing(pause)
        if seq < self.last:
            yield self.last

    async def _closing(self, most: float) -> None:
        """Wait so many seconds, unless the engine closes before."""
        with suppress(TimeoutError):
            async with asyncio.timeout(most):
                await self._end.wait()

    async def _rows(self, seq: int) -> list[JournalRow]:
        return await self._reading.run(lambda reader: reader.journal(after=seq, limit=ROWS_AT_ONCE))

    async def _growth(self) -> None:
        if self._grown is None:
            self._grown = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._grown)

    def _wake(self) -> None:
        if self._grown is not None:
            self._grown.set_result(None)
            self._grown = None
