"""A tick that a test moves by hand, shared by the tests of what ticks."""

from __future__ import annotations

import asyncio


class HandTick:
    """Stands in for a pause: each `tick` ends the pause under way, once one is."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self._pausing = asyncio.Event()
        self._go: asyncio.Future[None] | None = None

    async def pause(self, millis: int) -> None:
        self.asked.append(millis)
        self._go = asyncio.get_running_loop().create_future()
        self._pausing.set()
        await self._go

    async def paused(self) -> None:
        """Wait until a pause is under way: all that came before it is done."""
        await asyncio.wait_for(self._pausing.wait(), 20)

    async def tick(self) -> None:
        """End the pause under way and wait for the next."""
        await self.last()
        await self.paused()

    async def last(self) -> None:
        """End the pause under way, after which there may be no other."""
        await self.paused()
        self._pausing.clear()
        assert self._go is not None
        self._go.set_result(None)
