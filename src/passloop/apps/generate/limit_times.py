"""How many calls a model was allowed at once, time by time: the least of what it, its endpoint and its provider let.

Pure: it puts together the steps that the store keeps of each limit, and reads nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from passloop.kernel.cooldowns import Gate

if TYPE_CHECKING:
    from passloop.store.limits import LimitStep

__all__ = ["allowed"]

SHUT = {Gate.OPEN.value: None, Gate.HALF_OPEN.value: 1}
"""How many a gate lets through itself: all that the limit lets, or one probe; any other gate lets nobody."""


def allowed(steps: Iterable[LimitStep], *, begin: int, end: int) -> list[tuple[int, int]]:
    """(ms after `begin`, most at once) for each change until `end`. `steps` are of one model's limits, in their order;
    the first is at 0 if anything is known of then.
    """
    found: list[tuple[int, int]] = []
    for at, most in _least(steps):
        if at > end:
            break
        place = max(0, at - begin)
        if found and found[-1][0] == place:
            found.pop()
        if not found or found[-1][1] != most:
            found.append((place, most))
    return found


def _least(steps: Iterable[LimitStep]) -> Iterator[tuple[int, int]]:
    """The least of all limits after each step."""
    now: dict[str, int] = {}
    for step in steps:
        most = SHUT.get(step.gate, 0)
        now[step.pool] = step.most if most is None else min(most, step.most)
        yield step.at, min(now.values())
