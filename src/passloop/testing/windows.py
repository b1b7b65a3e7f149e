"""How much came within the last minute: the endpoint's own, exact count, against which a client's limits are judged."""

from __future__ import annotations

from collections import deque

__all__ = ["MINUTE", "RateWindow"]

MINUTE = 60_000


class RateWindow:
    """A sliding minute. Times in ms of any clock that does not go back."""

    def __init__(self, rate: int) -> None:
        self.rate = rate
        self._came: deque[tuple[int, int]] = deque()
        self._sum = 0

    def left(self, now: int) -> int:
        """How much may still come now."""
        while self._came and self._came[0][0] + MINUTE <= now:
            self._sum -= self._came.popleft()[1]
        return self.rate - self._sum

    def take(self, amount: int, now: int) -> bool:
        """Let `amount` come, if it may; what is refused is not counted."""
        if self.left(now) < amount:
            return False
        self._came.append((now, amount))
        self._sum += amount
        return True

    def reset(self, amount: int, now: int) -> int:
        """In how many ms `amount` may come; 0 for now."""
        missing = amount - self.left(now)
        for at, came in self._came:
            if missing <= 0:
                break
            missing -= came
            if missing <= 0:
                return at + MINUTE - now
        return 0
