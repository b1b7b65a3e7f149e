"""When those end who hold something: by their bounds, and since those may prove wrong, only as far as is known.

Holders without a bound count as ending last, oldest first. Nothing here changes what is decided: what is kept from
pass to pass is looked up again as soon as the bound, the start or the time it was reckoned from is another.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from .durations import KILL_MARGIN, Bound
from .ids import AttemptId
from .pools import ScalarPool
from .records import Attempt
from .state import State

__all__ = ["NOBODY", "NOW", "End", "EndKey", "Ends", "Leftover"]

EndKey = tuple[int, int, AttemptId]
"""When a holder ends: (-1, 0, nobody) now; (0, time, attempt) by its bound; (1, admitted at, attempt) without one."""

NOBODY = AttemptId(0)
"""No attempt has this id; it stands where time alone brings what is waited for."""

NOW: EndKey = (-1, 0, NOBODY)

STEP_LEAST = 100
"""The least step, in ms, in which the end of an attempt that has outrun its bound is reckoned anew."""


class End(NamedTuple):
    """When an attempt counts as ending, when that will change by time alone, and what it was reckoned from."""

    key: EndKey
    changes_at: int | None
    bound: Bound | None
    started_at: int | None


def end_of(attempt: Attempt, now: int) -> End:
    """When an attempt counts as ending; kept with the attempt for as long as it is true."""
    bound = attempt.shape.forecast.bound()
    known = attempt.end
    if (
        known is None
        or known.bound is not bound
        or known.started_at != attempt.started_at
        or (known.changes_at is not None and known.changes_at <= now)
    ):
        known = attempt.end = End(*_reckoned(attempt, bound, now), bound, attempt.started_at)
    return known


def _reckoned(attempt: Attempt, bound: Bound | None, now: int) -> tuple[EndKey, int | None]:
    """The end key of an attempt, and when that will change by time alone.

    One that has outrun its bound ends at 1.5 x its elapsed time. That is reckoned in steps of 1 in 32 and a tenth of a
    second, not anew at every look: so it changes only at times for which there is a wake-up, of which there are few
    however short the bound was, and nobody comes to fit unseen.
    """
    if bound is None:
        return (1, attempt.admitted_at, attempt.id), None
    start = _counted_from(attempt)
    if start + bound[0] > now:
        return (0, start + bound[0], attempt.id), start + bound[0]
    reckoned, following = bound[0], _following(bound[0])
    while start + following <= now:
        reckoned, following = following, _following(following)
    return (0, start + max(reckoned * 3 // 2, following), attempt.id), start + following


def _counted_from(attempt: Attempt) -> int:
    """Since when an attempt's bound counts: its admission, and each whole margin later that it started.

    An enforced bound keeps a margin in hand, so it stays true; and the usual start, which comes some ms after its
    admission, moves no shadow time and needs no pass.
    """
    delay = 0 if attempt.started_at is None else attempt.started_at - attempt.admitted_at
    return attempt.admitted_at + delay // KILL_MARGIN * KILL_MARGIN


def _following(elapsed: int) -> int:
    return elapsed + elapsed // 32 + STEP_LEAST


class Ends:
    """The end keys of all holders, computed once per pass."""

    __slots__ = ("_changes", "_keys", "_now", "_of_pools", "_state")

    def __init__(self, state: State, now: int) -> None:
        self._state = state
        self._now = now
        self._keys: dict[AttemptId, EndKey] = {}
        self._of_pools: dict[ScalarPool, list[EndKey]] = {}
        self._changes: list[tuple[EndKey, int]] = []

    def of(self, attempt: AttemptId) -> EndKey:
        """The end key of one attempt."""
        key = self._keys.get(attempt)
        if key is None:
            end = end_of(self._state.attempts[attempt], self._now)
            key = self._keys[attempt] = end.key
            if end.changes_at is not None:
                self._changes.append((key, end.changes_at))
        return key

    def changes_before(self, shadow: EndKey) -> int | None:
        """When, by time alone, the first of those whose end was asked for and who end by `shadow` will end later."""
        return min((at for key, at in self._changes if key <= shadow), default=None)

    def is_over(self, attempt: AttemptId, shadow: EndKey, since: int) -> bool:
        """Whether a holder counts as gone at the shadow time of a reservation that is there since `since`.

        Where nobody knows that time, who was let past the reservation counts as there, whatever its own bound: it was
        to take nothing of what the reservation needs, and the next one would else take the same room again.
        """
        key = self.of(attempt)
        if shadow[0] != 1 or key[0] or key > shadow:
            return key <= shadow
        return self._state.attempts[attempt].admitted_at < since

    def of_pool(self, pool: ScalarPool) -> list[EndKey]:
        """When the holders of a pool end, first to end first."""
        known = self._of_pools.get(pool)
        if known is None or len(known) != len(pool.holders):  # in a pass holders come, none goes
            known = self._of_pools[pool] = sorted(map(self.of, pool.holders))
        return known

    def in_order(self, attempts: Iterable[AttemptId]) -> list[tuple[EndKey, AttemptId]]:
        """Holders with their end keys, first to end first."""
        return sorted((self.of(attempt), attempt) for attempt in attempts)


class Leftover:
    """What others may still take of a pool so that a reservation finds its amount at its shadow time.

    The holders that have ended by then are looked at no further than somebody asks: mostly the first few will do.
    """

    __slots__ = ("_coming", "_ends", "_left", "_shadow", "_since")

    def __init__(
        self, left: int, holders: Iterable[tuple[AttemptId, int]], shadow: EndKey, ends: Ends, since: int
    ) -> None:
        self._left = left
        self._coming = iter(holders)
        self._shadow = shadow
        self._ends = ends
        self._since = since

    def covers(self, amount: int) -> bool:
        """Whether there is so much to take."""
        while self._left < amount:
            attempt, held = next(self._coming, (None, 0))
            if attempt is None:
                return False
            if self._ends.is_over(attempt, self._shadow, self._since):
                self._left += held
        return True

    def missing(self, amount: int) -> int:
        """How much less there is than so much."""
        return 0 if self.covers(amount) else amount - self._left

    def take(self, amount: int) -> None:
        """Somebody who is there at the shadow time has taken so much."""
        self._left -= amount
