"""The only reader of time. Every other module is given a `Clock` and asks it.

Engine time is what the kernel sees as `now`: whole milliseconds, never going back. At start it is the later of
wall time and the last stored `now`; from there it advances by the monotonic clock only, so that a clock that is
set, a time zone or a suspended machine cannot make anything early, late or negative while an engine runs. What a clock
is ahead when one starts passes for time that went by. Wall time is for display.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

__all__ = ["Clock", "FakeClock", "SystemClock", "iso_utc"]


class Clock(Protocol):
    """Reads time. All values are whole milliseconds."""

    def now(self) -> int:
        """Engine time in milliseconds since the epoch; never goes back."""
        ...

    def wall(self) -> int:
        """Wall-clock time in milliseconds since the epoch, for display only."""
        ...


class SystemClock:
    """The real clock. `not_before` is the last engine time that was stored, in milliseconds.

    `wall_ns` and `monotonic_ns` are the system's own clocks in ns; the simulation gives it clocks that jump.
    """

    __slots__ = ("_monotonic_ns", "_offset", "_wall_ns")

    def __init__(
        self,
        *,
        not_before: int = 0,
        wall_ns: Callable[[], int] = time.time_ns,
        monotonic_ns: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._wall_ns = wall_ns
        self._monotonic_ns = monotonic_ns
        start = max(wall_ns() // 1_000_000, not_before)
        self._offset = start - monotonic_ns() // 1_000_000

    def now(self) -> int:
        return self._offset + self._monotonic_ns() // 1_000_000

    def wall(self) -> int:
        return self._wall_ns() // 1_000_000


class FakeClock:
    """A clock that moves only when told to. Shipped for tests and simulation."""

    __slots__ = ("_now", "_skew")

    def __init__(self, start: int = 1_000_000) -> None:
        self._now = start
        self._skew = 0

    def now(self) -> int:
        return self._now

    def wall(self) -> int:
        return self._now + self._skew

    def advance(self, millis: int) -> None:
        """Let `millis` milliseconds pass."""
        if millis < 0:
            raise ValueError("engine time never goes back")
        self._now += millis

    def set_wall(self, skew: int) -> None:
        """Move the wall clock to `skew` milliseconds beside engine time, as a user or NTP does."""
        self._skew = skew


def iso_utc(millis: int | None) -> str | None:
    """Format engine or wall time as ISO 8601 UTC with milliseconds and `Z`; None stays None."""
    if millis is None:
        return None
    seconds, part = divmod(millis, 1000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{part:03d}Z"
