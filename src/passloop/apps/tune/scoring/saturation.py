"""Over-saturation: requests come faster than they are answered, so that what waits grows for as long as the load lasts,
and a latency says no more than how long one measured. Pure; it is told what happens and in which order.

What waits for its first token is compared with what chance leaves waiting of a load that can just be kept up with: a
queue at its limit strays like a random walk, by about the square root of the requests that came. `SURE` times that,
beyond what is always on its way, and a first token that comes later and later, are no chance any more. Beyond capacity
by 20, 50, 100 % it is seen after about 580, 150, 70 requests; stable loads are left alone, since they are what is
to be measured.
"""

from __future__ import annotations

import math
from statistics import median

__all__ = ["Saturation"]

FEWEST = 30
"""First tokens before anything is said."""
SURE = 4.0
RISE = 1.5
"""By how much the first token comes later, and more is in flight, in the last third than in the first."""


class Saturation:
    """Watches one open loop of `rate` requests a second while requests are due. `seen` stays true once it was."""

    __slots__ = ("_in_flight", "_queue", "_quickest", "_rate", "_ttfts", "arrived", "seen", "waiting")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._quickest = math.inf
        self._ttfts: list[float] = []
        self._queue: list[int] = []
        self._in_flight = 0
        self.arrived = 0
        self.waiting = 0
        self.seen = False

    def on_due(self) -> None:
        """A request is due."""
        self.arrived += 1
        self.waiting += 1
        self._in_flight += 1

    def on_first(self, ttft: float) -> None:
        """The first token of one came, `ttft` ms after it was due."""
        self.waiting -= 1
        self._quickest = min(self._quickest, ttft)
        self._ttfts.append(ttft)
        self._queue.append(self._in_flight)
        if not self.seen and len(self._ttfts) >= FEWEST and self._is_more_than_chance():
            self.seen = _rises(self._ttfts) and _rises(self._queue)

    def on_end(self, *, answered: bool) -> None:
        """One ended; `answered` says whether its first token had come."""
        self._in_flight -= 1
        self.waiting -= not answered

    def _is_more_than_chance(self) -> bool:
        on_its_way = self._rate * self._quickest / 1000
        return self.waiting > on_its_way + SURE * math.sqrt(self.arrived)


def _rises(values: list[float] | list[int]) -> bool:
    third = len(values) // 3
    return median(values[-third:]) >= RISE * median(values[:third])
