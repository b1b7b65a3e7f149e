"""Draws sampled values. Each draw is a function of the dataset's seed, the column and the row alone, so that a run that
is taken up again draws the same. Uses no state of its own, and of `random` only its uniform numbers.
"""

from __future__ import annotations

import datetime
import hashlib
import math
import random
import uuid
from array import array
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from .spec import Column, Conditional, Distributions

__all__ = ["DISTRIBUTIONS", "distribution_of", "sampled", "shuffled_place"]

DISTRIBUTIONS = tuple(Distributions.model_fields)


def sampled(column: Column, *, seed: int, row: int, known: Mapping[str, Any]) -> Any:
    """The value of a sampler column in a row. `known` holds the values of the columns before it."""
    dice = _dice(seed, column.name, row)
    chosen = column if column.conditional is None else _case(column.conditional, known)
    return None if chosen is None else _draw(chosen, dice)


def shuffled_place(count: int, *, seed: int, column: str, row: int) -> int:
    """Which of `count` records a row gets: each once before any comes again, in another order each time."""
    turn, place = divmod(row, count)
    return _order(count, seed, column, turn)[place]


@lru_cache(maxsize=32)
def _order(count: int, seed: int, column: str, turn: int) -> array[int]:
    """The order of a turn: shuffled once for all its rows, and kept in 8 bytes a record, of as many turns as there are
    seed columns whose values are kept.
    """
    order = array("q", range(count))
    _dice(seed, column, -1 - turn).shuffle(order)
    return order


def distribution_of(column: Distributions) -> list[str]:
    """The distributions that are named; right is exactly one."""
    return [name for name in DISTRIBUTIONS if getattr(column, name) is not None]


def _dice(seed: int, column: str, row: int) -> random.Random:
    digest = hashlib.sha256(f"{seed}\x1f{column}\x1f{row}".encode()).digest()
    return random.Random(int.from_bytes(digest[:16], "big"))


def _case(chosen: Conditional, known: Mapping[str, Any]) -> Distributions | None:
    value = known[chosen.on]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return chosen.cases.get(text, chosen.otherwise)


def _draw(of: Distributions, dice: random.Random) -> Any:
    if of.choice is not None:
        return of.choice.values[_weighted(len(of.choice.values), of.choice.weights, dice)]
    if of.uniform is not None:
        return of.uniform.low + (of.uniform.high - of.uniform.low) * dice.random()
    if of.normal is not None:
        return of.normal.mean + of.normal.sd * _gauss(dice)
    if of.poisson is not None:
        return _poisson(of.poisson.mean, dice)
    if of.bernoulli is not None:
        return dice.random() < of.bernoulli.p
    if of.integer is not None:
        return of.integer.low + int(dice.random() * (of.integer.high - of.integer.low + 1))
    if of.date is not None:
        return _day(of.date.first, of.date.last, dice)
    return str(uuid.UUID(int=dice.getrandbits(128), version=4))


def _weighted(count: int, weights: list[float] | None, dice: random.Random) -> int:
    if weights is None:
        return int(dice.random() * count)
    point = dice.random() * sum(weights)
    for place, weight in enumerate(weights):
        point -= weight
        if point < 0:
            return place
    return max(place for place, weight in enumerate(weights) if weight > 0)


def _gauss(dice: random.Random) -> float:
    """A standard normal number (Box and Muller)."""
    return math.sqrt(-2 * math.log(1 - dice.random())) * math.cos(2 * math.pi * dice.random())


def _poisson(mean: float, dice: random.Random) -> int:
    """A Poisson count: exponential waits until they pass 1 (no underflow for a large mean)."""
    count, passed = 0, -math.log(1 - dice.random())
    while passed < mean:
        count += 1
        passed -= math.log(1 - dice.random())
    return count


def _day(first: str, last: str, dice: random.Random) -> str:
    begin, end = datetime.date.fromisoformat(first), datetime.date.fromisoformat(last)
    return (begin + datetime.timedelta(days=int(dice.random() * ((end - begin).days + 1)))).isoformat()
