"""Reads for clients, off the loop: a few threads, each with a read-only connection of its own. Never writes."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

from passloop.store.database import Store
from passloop.store.reader import Reader

from .threads import Threads

__all__ = ["Reading"]

Result = TypeVar("Result")
THREADS = 4
"""Two would do for commands; an open page asks longer questions, several at once, and must not hold those up."""


class Reading:
    """Runs functions with a `Reader`. What they see is committed, and one state of the store for each question."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._threads = Threads(THREADS, name="passloop-reader")
        self._own = threading.local()
        self._readers: list[Reader] = []

    async def run(self, ask: Callable[[Reader], Result]) -> Result:
        """Run `ask` in a reading thread."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._run, ask)

    def close(self) -> None:
        """Wait for the reads under way and close the connections."""
        self._threads.shutdown(wait=True)
        for reader in self._readers:
            reader.close()

    def _run(self, ask: Callable[[Reader], Result]) -> Result:
        reader: Reader | None = getattr(self._own, "reader", None)
        if reader is None:
            reader = self._own.reader = self._store.reader()
            self._readers.append(reader)
        return ask(reader)
