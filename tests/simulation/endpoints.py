"""The endpoints that tasks call, as they really are: open, closed for a while, or dead. They decide nothing.

`chat` and `code` are models of one provider; `tokens` is a rate. A closed model says 429, often with Retry-After; a
dead one says 503; a provider that cannot be reached is named in the answer.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from passloop.clock import FakeClock
from passloop.kernel.events import PoolDeclared, PoolKind
from passloop.kernel.ids import PoolName
from passloop.kernel.resources import Allocation
from passloop.kernel.tasks import Outcome, OutcomeKind

__all__ = ["POOLS", "RATE", "Endpoints"]

RATE = 100
POOLS = (
    PoolDeclared(PoolName("provider"), PoolKind.LIMIT, 4),
    PoolDeclared(PoolName("chat"), PoolKind.LIMIT, 3, parent=PoolName("provider")),
    PoolDeclared(PoolName("code"), PoolKind.LIMIT, 2, parent=PoolName("provider"), dead_after=30_000, on_dead="fail"),
    PoolDeclared(PoolName("tokens"), PoolKind.RATE, RATE),
)
MODELS = ("chat", "code")


@dataclass
class Trouble:
    """Until when (ms) an endpoint refuses; None for ever. `retry_after` in ms is what it says."""

    until: int | None
    retry_after: int | None
    status: int


class Endpoints:
    """What each endpoint would answer now."""

    def __init__(self, clock: FakeClock, chance: random.Random) -> None:
        self._clock = clock
        self._chance = chance
        self._troubles: dict[str, Trouble] = {}

    def close_one(self) -> None:
        """A model refuses from now on: for seconds, for an hour, or until all is well again."""
        chance, now = self._chance, self._clock.now()
        name = chance.choice([*MODELS, *MODELS, "provider"])
        millis = chance.choice([500, 5_000, 60_000, 3_600_000, None])
        says = millis is not None and chance.random() < 0.7
        until = None if millis is None else now + millis
        self._troubles[name] = Trouble(until, millis if says else None, 429 if says else 503)

    def refuse(self, name: str, millis: int, *, says: bool) -> None:
        """An endpoint refuses for so many ms, and says for how long or not."""
        self._troubles[name] = Trouble(self._clock.now() + millis, millis if says else None, 429 if says else 503)

    def lose(self, name: str) -> None:
        """A model refuses until all is well again, and says nothing of when that is."""
        self._troubles[name] = Trouble(None, None, 503)

    def open_one(self) -> None:
        """One of those that refuse does so no longer."""
        if self._troubles:
            del self._troubles[self._chance.choice(sorted(self._troubles))]

    def heal(self) -> None:
        """All answer."""
        self._troubles.clear()

    def refusal(self, allocation: Allocation) -> Outcome | None:
        """What a call with this allocation is refused with now; None if it is not."""
        names = [name for name, _ in allocation.amounts]
        for name in ("provider", *MODELS):
            trouble = self._troubles.get(name)
            if trouble is not None and name in names:
                if trouble.until is None or trouble.until > self._clock.now():
                    return _refused(name, trouble, self._clock.now())
                del self._troubles[name]
        return None

    def used(self, allocation: Allocation) -> tuple[tuple[PoolName, int], ...]:
        """What a call that succeeds has used of rates: more or less than was estimated."""
        drawn = dict(allocation.amounts).get(PoolName("tokens"))
        if drawn is None or self._chance.random() < 0.5:
            return ()
        return ((PoolName("tokens"), max(1, drawn * self._chance.choice([1, 2, 3]) // 2)),)


def _refused(name: str, trouble: Trouble, now: int) -> Outcome:
    left = trouble.until - now if trouble.retry_after is not None and trouble.until is not None else None
    return Outcome(
        OutcomeKind.RATE_LIMITED,
        status=trouble.status,
        retry_after=left,
        pool=PoolName(name) if name == "provider" else None,
        message=f"{name} said {trouble.status}",
    )
