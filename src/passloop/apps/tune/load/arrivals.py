"""When requests are to be sent in an open loop, fixed before the first one is, whatever the server does. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterator

from passloop.apps.tune.records import Point

__all__ = ["arrivals"]


def arrivals(point: Point, seed: str) -> Iterator[float]:
    """Seconds from the start at which each of the point's requests is due; the same for the same seed.

    `constant` has equal gaps of 1 / rate; `poisson` has exponential gaps of that mean, so that requests come in bunches
    as they do from independent users. Those past `seconds` are left out. Raises `ValueError` for a closed loop.
    """
    if point.rate is None or point.rate <= 0:
        raise ValueError(f"the point {point.name} has no rate above 0")
    chance = random.Random(seed)
    due = 0.0
    for number in range(point.requests):
        due = number / point.rate if point.arrivals == "constant" else due + chance.expovariate(point.rate)
        if point.seconds is not None and due >= point.seconds:
            return
        yield due
