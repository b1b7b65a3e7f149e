"""Over-saturation: requests come faster than they are answered, so that both the queue and the wait for the first token
grow for as long as the load lasts. Then a latency says how long one measured. Pure; it is told what happens.

Both have to rise from quarter to quarter of what was seen (the first quarter is left out: there every open loop fills
up). One alone is no sign: longer answers raise the number in flight, a cold cache the first token.
"""

from __future__ import annotations

import itertools
from statistics import fmean, median
from typing import NamedTuple

__all__ = ["Saturation"]

FEWEST = 40
"""First tokens before anything is said."""
RISE = 1.25
"""From one quarter to the next; a queue that grows evenly from nothing rises by 1.67 and 1.4."""
LOOK_EVERY = 8


class _Seen(NamedTuple):
    in_flight: int
    ttft: float


class Saturation:
    """Watches one open loop while requests are being sent. `seen` stays true once it was."""

    __slots__ = ("_history", "seen")

    def __init__(self) -> None:
        self._history: list[_Seen] = []
        self.seen = False

    def note(self, *, in_flight: int, ttft: float) -> None:
        """A first token came after `ttft` ms while so many requests were under way or due."""
        self._history.append(_Seen(in_flight, ttft))
        if not self.seen and len(self._history) >= FEWEST and len(self._history) % LOOK_EVERY == 0:
            self.seen = self._rises()

    def _rises(self) -> bool:
        quarter = len(self._history) // 4
        parts = [self._history[number * quarter : (number + 1) * quarter] for number in (1, 2, 3)]
        queue = [fmean(seen.in_flight for seen in part) for part in parts]
        waits = [median(seen.ttft for seen in part) for part in parts]
        return all(later >= RISE * sooner for values in (queue, waits) for sooner, later in itertools.pairwise(values))
