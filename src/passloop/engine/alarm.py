"""Wakes the engine once at a given engine time. Owns the one timer of the process; never repeats, never polls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from passloop.clock import Clock

__all__ = ["Alarm", "LoopAlarm"]


class Alarm(Protocol):
    """One timer. Setting it again replaces what was set."""

    def set(self, at: int | None, ring: Callable[[], None]) -> None:
        """Call `ring` once, when engine time (ms) has reached `at`; None switches the alarm off."""
        ...


class LoopAlarm:
    """The alarm of a running event loop, by the same monotonic clock as engine time."""

    __slots__ = ("_clock", "_handle")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._handle: asyncio.TimerHandle | None = None

    def set(self, at: int | None, ring: Callable[[], None]) -> None:
        """Call `ring` once, when engine time (ms) has reached `at`; None switches the alarm off."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if at is not None:
            # One millisecond more: engine time is cut to whole milliseconds, so that the alarm never rings early.
            delay = max(0, at - self._clock.now() + 1) / 1000
            self._handle = asyncio.get_running_loop().call_later(delay, ring)
