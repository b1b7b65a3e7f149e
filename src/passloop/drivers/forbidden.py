"""Which attempts a driver must never start, since they were stopped before they were launched, and how each ends
instead. Holds; decides nothing.

A stop that raced an end looks the same to a driver, and nothing ever comes of it: so only the newest are kept. An
attempt's launch is carried out before its stop, or a moment after; so many others are never stopped in between.
"""

from __future__ import annotations

from passloop.kernel.tasks import Outcome, OutcomeKind

__all__ = ["MOST", "Forbidden"]

MOST = 10_000

_COSTS_NOTHING = ("down", "recall")
"""Why an attempt is stopped whose task goes back to the queue."""


class Forbidden:
    """The newest `MOST` attempts that were added."""

    __slots__ = ("_attempts",)

    def __init__(self) -> None:
        self._attempts: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self._attempts)

    def __contains__(self, attempt: int) -> bool:
        return attempt in self._attempts

    def add(self, attempt: int, reason: str) -> None:
        """Forbid one more, stopped for the reason that `Driver.halt` was given; the oldest is let go if there are too
        many.
        """
        self._attempts[attempt] = reason
        if len(self._attempts) > MOST:
            del self._attempts[next(iter(self._attempts))]

    def outcome(self, attempt: int, message: str = "stopped before it started") -> Outcome | None:
        """How this attempt ends instead of being started; None if it may be."""
        reason = self._attempts.get(attempt)
        if reason is None:
            return None
        is_lost = reason in _COSTS_NOTHING
        return Outcome(OutcomeKind.LOST if is_lost else OutcomeKind.CANCELLED, message=message, engine_lost=is_lost)
