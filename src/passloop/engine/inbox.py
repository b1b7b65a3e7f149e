"""Where events wait for the next turn, in the order in which they came. Owns their order, never their meaning.

Everything is called on the loop thread. An event may carry a future for its answer; it is resolved only after the
commit of the turn that handled it. A `Started` may linger for a few milliseconds, since nothing waits for it: the
attempt's exit then often shares its commit, which halves the fsyncs of short tasks. A turn that comes for another
reason (a wake-up of the machine) leaves it lingering.
"""

from __future__ import annotations

import asyncio
from typing import NamedTuple

from passloop.kernel.changes import Answer
from passloop.kernel.events import Event, Started

__all__ = ["Entry", "Inbox"]


class Entry(NamedTuple):
    """An event, the future of who waits for its answer, and environments (id, JSON) that came with it."""

    event: Event
    answer: asyncio.Future[Answer] | None = None
    environments: tuple[tuple[str, str], ...] = ()


class Inbox:
    """Gathers events; `wake` is set when there is something to take. `linger_ms` is how long a start may wait."""

    __slots__ = ("_entries", "_linger", "_linger_ms", "wake")

    def __init__(self, *, linger_ms: int = 0) -> None:
        self._entries: list[Entry] = []
        self._linger: asyncio.TimerHandle | None = None
        self._linger_ms = linger_ms
        self.wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, event: Event, *, environments: tuple[tuple[str, str], ...] = ()) -> None:
        """Add a fact that nobody waits to see answered."""
        self._entries.append(Entry(event, None, environments))
        if self._linger_ms and isinstance(event, Started):
            self._linger_for_more()
        else:
            self.hurry()

    def ask(self, event: Event, *, environments: tuple[tuple[str, str], ...] = ()) -> asyncio.Future[Answer]:
        """Add a fact and get the future of its answer."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._entries.append(Entry(event, answer, environments))
        self.hurry()
        return answer

    def hurry(self) -> None:
        """Let nothing linger any longer; what is there is for the next turn."""
        self._stop_lingering()
        self.wake.set()

    def take(self) -> list[Entry]:
        """All that is there, in order, and the inbox is empty; or nothing, while all that is there still lingers."""
        self.wake.clear()
        if self._linger is not None:
            return []
        entries, self._entries = self._entries, []
        return entries

    def put_back(self, entries: list[Entry]) -> None:
        """Put entries that could not be committed before all others, without waking anybody."""
        self._entries[:0] = entries
        self._stop_lingering()

    def _linger_for_more(self) -> None:
        if self._linger is None and not self.wake.is_set():
            loop = asyncio.get_running_loop()
            self._linger = loop.call_later(self._linger_ms / 1000, self.hurry)

    def _stop_lingering(self) -> None:
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
