"""Free and taken: the scalar pools (amounts, limits, rates). Devices have their own file.

A pool is the only place where an amount is charged or given back. It never decides who gets it; that is admission.
Limits and rates can be closed (see `cooldowns.py`); a closed parent closes its children, and a draw on a child is a
draw on each parent that is a limit or a rate.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from .cooldowns import Closure, Gate
from .events import PoolKind
from .ids import AttemptId, PoolName

__all__ = [
    "NO_RATE",
    "RATE_MARGIN",
    "RATE_WINDOW",
    "AmountPool",
    "LimitPool",
    "RatePool",
    "ScalarPool",
    "estimate",
    "lineage",
]

RATE_WINDOW = 60_000
"""A rate is a budget per this many ms: no window of this length holds more than the rate."""

NO_RATE = 1_000_000_000
"""The capacity of a rate that nobody knows yet. It holds nobody back, and draws on it are not worth storing: what the
live attempts drew is known from these after a restart."""

RATE_MARGIN = 1_000
"""By so many ms less may one draw take effect later than the next, and the window still holds."""

SPELL = 500
"""Draws within so many ms are added up."""


class ScalarPool:
    """What amounts, limits and rates have in common. `bit` is the pool's place in masks of pools."""

    kind: PoolKind

    __slots__ = ("bit", "capacity", "closure", "holders", "name", "parent", "used")

    def __init__(self, name: PoolName, bit: int, capacity: int, parent: ScalarPool | None = None) -> None:
        self.name = name
        self.bit = bit
        self.capacity = capacity
        self.parent = parent
        self.used = 0
        self.holders: dict[AttemptId, int] = {}
        self.closure: Closure | None = None

    def free(self, now: int) -> int:
        """What could be taken now, ignoring closures; negative while over-committed."""
        return self.capacity - self.used

    def most(self, now: int) -> int:
        """The most that one task could take now: of a closed pool nothing, of a half-open one what its probe asks."""
        return self.capacity - self.used

    def could_admit(self, amount: int) -> bool:
        """Whether `amount` could be taken if all our attempts ended now."""
        return amount <= self.capacity

    def take(self, attempt: AttemptId, amount: int, now: int) -> None:
        """Charge `amount` to an attempt."""
        self.used += amount
        self.holders[attempt] = self.holders.get(attempt, 0) + amount

    def give(self, attempt: AttemptId) -> None:
        """Give back all that an attempt holds; nothing if it holds nothing."""
        self.used -= self.holders.pop(attempt, 0)

    def next_refill(self, amount: int, now: int) -> int | None:
        """The time at which `amount` is there by time alone, if time alone can bring it."""
        return None

    def gate(self) -> Gate:
        """Whether it is open, by itself; parents are asked on their own, since a draw on it draws on them."""
        return Gate.OPEN if self.closure is None else self.closure.gate


class AmountPool(ScalarPool):
    """One integer capacity: CPU, memory, disk, any name the user declares."""

    kind = PoolKind.AMOUNT
    __slots__ = ()


class LimitPool(ScalarPool):
    """Most at once. The closure's adaptive limit lies between 1 and the capacity.

    However low it is, one may have all it asks while nobody else is there: else who asks several places would wait for
    ever where nobody is left whose successes raise the limit.
    """

    kind = PoolKind.LIMIT
    __slots__ = ()

    def __init__(self, name: PoolName, bit: int, capacity: int, parent: ScalarPool | None = None) -> None:
        super().__init__(name, bit, capacity, parent)
        self.closure = Closure(limit=capacity)

    def free(self, now: int) -> int:
        closure = self.closure
        assert closure is not None
        if closure.gate is Gate.HALF_OPEN:
            return min(1, self.capacity - self.used) if closure.probe is None else 0
        return min(closure.limit, self.capacity) - self.used

    def most(self, now: int) -> int:
        closure = self.closure
        assert closure is not None
        if closure.gate is Gate.OPEN:
            limit, capacity, used = closure.limit, self.capacity, self.used
            return (limit if used and limit < capacity else capacity) - used
        return self.capacity - self.used if _is_to_be_probed(closure) else 0

    def could_admit(self, amount: int) -> bool:
        return _could_admit(self, amount)


class _Spell:
    """Draws of a short while, added up: the times of the first and the last of them in ms, and their sum."""

    __slots__ = ("amount", "first", "is_over", "last")

    def __init__(self, first: int, last: int, amount: int) -> None:
        self.first = first
        self.last = last
        self.amount = amount
        self.is_over = False


class RatePool(ScalarPool):
    """A budget that refills: at most `capacity` in any window of `RATE_WINDOW` ms, wherever the draw takes effect.

    A draw counts from when it was made for one window and a margin, since what was drawn for may reach the other side
    later than what is drawn next. Draws of one spell end with its last, so that a pool is small however much is drawn.
    Corrections at the end may put the pool in debt; then nothing is admitted until enough has left the window.
    """

    kind = PoolKind.RATE
    __slots__ = ("_drawn", "_drawn_by", "_spells")

    def __init__(self, name: PoolName, bit: int, capacity: int, parent: ScalarPool | None = None) -> None:
        super().__init__(name, bit, capacity, parent)
        self.closure = Closure(limit=capacity)
        self._spells: deque[_Spell] = deque()
        self._drawn_by: dict[AttemptId, tuple[_Spell, int]] = {}
        self._drawn = 0

    @property
    def is_known(self) -> bool:
        """Whether anybody has said how large it is."""
        return self.capacity < NO_RATE

    def free(self, now: int) -> int:
        self._forget(now)
        return self.capacity - self._drawn

    def most(self, now: int) -> int:
        closure = self.closure
        assert closure is not None
        return self.free(now) if closure.gate is Gate.OPEN or _is_to_be_probed(closure) else 0

    def could_admit(self, amount: int) -> bool:
        return _could_admit(self, amount)

    def take(self, attempt: AttemptId, amount: int, now: int) -> None:
        self._forget(now)
        spell = self._spells[-1] if self._spells else None
        if spell is None or now - spell.first > SPELL:
            spell = _Spell(now, now, 0)
            self._spells.append(spell)
        spell.last = now
        spell.amount += amount
        self._drawn += amount
        self._drawn_by[attempt] = (spell, amount)
        self.holders[attempt] = amount

    def take_again(self, attempt: AttemptId, amount: int, drawn_at: int) -> None:
        """After a restart: name the holder of a draw that was restored, so that it can be corrected.

        While nobody knows how large the rate is, none was stored: it is drawn once more, for when it was.
        """
        if not self.is_known:
            self.take(attempt, amount, drawn_at)
            return
        self.holders[attempt] = amount
        for spell in self._spells:
            if spell.first <= drawn_at <= spell.last:
                self._drawn_by[attempt] = (spell, amount)

    def give(self, attempt: AttemptId) -> None:
        """A draw is spent, not given back; only the holder's name goes."""
        self.holders.pop(attempt, None)
        self._drawn_by.pop(attempt, None)

    def correct(self, attempt: AttemptId, actual: int) -> None:
        """Replace an attempt's estimated draw by what it really used; this may put the pool in debt."""
        spell, drawn = self._drawn_by.get(attempt, (None, 0))
        if attempt in self.holders:
            self.holders[attempt] = actual
        if spell is not None and not spell.is_over:
            spell.amount += actual - drawn
            self._drawn += actual - drawn
            self._drawn_by[attempt] = (spell, actual)

    def next_refill(self, amount: int, now: int) -> int | None:
        self._forget(now)
        missing = amount - (self.capacity - self._drawn)
        for spell in self._spells:
            if missing <= 0:
                break
            missing -= spell.amount
            if missing <= 0:
                return spell.last + RATE_WINDOW + RATE_MARGIN
        return None

    def draws(self, now: int) -> tuple[tuple[int, int, int], ...]:
        """(first, last, sum) of each spell of draws that still counts, oldest first."""
        self._forget(now)
        return tuple((spell.first, spell.last, spell.amount) for spell in self._spells)

    def restore_draws(self, draws: Iterable[tuple[int, int, int]]) -> None:
        """Put back what `draws` once gave."""
        for first, last, amount in draws:
            self._spells.append(_Spell(first, last, amount))
            self._drawn += amount

    def _forget(self, now: int) -> None:
        spells = self._spells
        while spells and spells[0].last + RATE_WINDOW + RATE_MARGIN <= now:
            over = spells.popleft()
            over.is_over = True
            self._drawn -= over.amount


def _is_to_be_probed(closure: Closure) -> bool:
    return closure.gate is Gate.HALF_OPEN and closure.probe is None


def _could_admit(pool: ScalarPool, amount: int) -> bool:
    closure = pool.closure
    assert closure is not None
    return amount <= pool.capacity and (closure.gate is Gate.OPEN or _is_to_be_probed(closure))


def lineage(pool: ScalarPool) -> Iterator[ScalarPool]:
    """The pool, then its parents that are limits or rates, nearest first: all that a draw on it draws on."""
    yield pool
    parent = pool.parent
    while parent is not None:
        if parent.kind is not PoolKind.AMOUNT:
            yield parent
        parent = parent.parent


def estimate(amount: int) -> int:
    """An estimated draw, rounded up to a power of two so that near-equal requests share a shape."""
    return 1 << (amount - 1).bit_length() if amount > 1 else amount
