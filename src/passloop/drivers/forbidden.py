"""Which attempts a driver must never start, since they were stopped before they were launched. Holds; decides nothing.

A stop that raced an end looks the same to a driver, and nothing ever comes of it: so only the newest are kept. An
attempt's launch is carried out before its stop, or a moment after; so many others are never stopped in between.
"""

from __future__ import annotations

__all__ = ["MOST", "Forbidden"]

MOST = 10_000


class Forbidden:
    """The newest `MOST` attempts that were added."""

    __slots__ = ("_attempts",)

    def __init__(self) -> None:
        self._attempts: dict[int, None] = {}

    def __len__(self) -> int:
        return len(self._attempts)

    def __contains__(self, attempt: int) -> bool:
        return attempt in self._attempts

    def add(self, attempt: int) -> None:
        """Forbid one more; the oldest is let go if there are too many."""
        self._attempts[attempt] = None
        if len(self._attempts) > MOST:
            del self._attempts[next(iter(self._attempts))]
