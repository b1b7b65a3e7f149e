"""The earliest time at which anything could change by time alone. One heap; stale entries are skipped when due."""

from __future__ import annotations

from enum import IntEnum
from heapq import heappop, heappush

__all__ = ["WakeUp", "WakeUps"]


class WakeUp(IntEnum):
    """Why to wake: a task's backoff or deadline ends, a pool's cooldown ends, or admission may answer differently."""

    BACKOFF = 0
    DEADLINE = 1
    POOL = 2
    PASS = 3


class WakeUps:
    """Times in engine ms with what is due then. The same entry may stand twice; what it means is checked when due."""

    __slots__ = ("_heap", "_passes")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str]] = []
        self._passes: set[int] = set()

    def add(self, time: int, kind: WakeUp, name: str = "") -> None:
        """Wake at `time` for the task id or pool in `name`."""
        if kind is WakeUp.PASS:
            if time in self._passes:
                return
            self._passes.add(time)
        heappush(self._heap, (time, kind, name))

    def due(self, now: int) -> list[tuple[WakeUp, str]]:
        """Take out all that is due."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            time, kind, name = heappop(self._heap)
            self._passes.discard(time)
            found.append((WakeUp(kind), name))
        return found

    def next(self) -> int | None:
        """The earliest time, or None."""
        return self._heap[0][0] if self._heap else None
