"""A driver's work beside the loop's callbacks: one task for each piece. It owns that an error of such a piece is heard,
since the attempt that it was about may never end otherwise. It decides nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from .base import Fail

__all__ = ["Background", "to_the_loop"]


def to_the_loop(error: BaseException) -> None:
    """Where there is no engine to be ended: the loop says it, as it does of any error that nobody took."""
    asyncio.get_running_loop().call_exception_handler({"message": "a driver's work failed", "exception": error})


class Background:
    """Pieces of work under way. `failed` gets the error of each that raises. Loop thread only."""

    def __init__(self) -> None:
        self.failed: Fail = to_the_loop
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin a piece."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def stop(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self.failed(error)
