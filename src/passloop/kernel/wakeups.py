"""The earliest time at which anything could change by time alone.

What belongs to a task, a pool or a worker lies in one heap, where stale entries are skipped when due. When admission
would answer differently is what the last pass found, and nothing else: each pass finds it anew. So does each turn with
the worker that has lain longest, however often it was used.
"""

from __future__ import annotations

from enum import IntEnum
from heapq import heappop, heappush

__all__ = ["WakeUp", "WakeUps"]


class WakeUp(IntEnum):
    """Why to wake: a task's backoff or deadline ends, a pool's cooldown ends, or a worker has kept others waiting
    for long, which each turn looks at."""

    BACKOFF = 0
    DEADLINE = 1
    POOL = 2
    WORKER = 3


class WakeUps:
    """Times in engine ms with what is due then. The same entry may stand twice; what it means is checked when due.

    `idle_at` is when the worker that has lain longest has lain too long, None if none lies.
    """

    __slots__ = ("_heap", "_pass_at", "idle_at")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, str]] = []
        self._pass_at: int | None = None
        self.idle_at: int | None = None

    def add(self, time: int, kind: WakeUp, name: str = "") -> None:
        """Wake at `time` for the task id or pool in `name`."""
        heappush(self._heap, (time, kind, name))

    def forget_pass(self) -> None:
        """A pass begins: it finds anew when the next one could answer differently."""
        self._pass_at = None

    def plan_pass(self, time: int) -> None:
        """Until the next pass: the answer could be another one from `time` on."""
        if self._pass_at is None or time < self._pass_at:
            self._pass_at = time

    def take_pass(self, now: int) -> bool:
        """Whether the planned pass is due; then it is planned no more."""
        is_due = self._pass_at is not None and self._pass_at <= now
        if is_due:
            self._pass_at = None
        return is_due

    def due(self, now: int) -> list[tuple[WakeUp, str]]:
        """Take out all that is due of tasks, pools and workers."""
        found = []
        while self._heap and self._heap[0][0] <= now:
            _, kind, name = heappop(self._heap)
            found.append((WakeUp(kind), name))
        return found

    def next(self) -> int | None:
        """The earliest time, or None."""
        earliest = self._pass_at
        if self._heap and (earliest is None or self._heap[0][0] < earliest):
            earliest = self._heap[0][0]
        if self.idle_at is not None and (earliest is None or self.idle_at < earliest):
            return self.idle_at
        return earliest
