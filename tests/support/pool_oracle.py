"""What pools give, judged from stored rows alone: limits as refusals have lowered them, gates, and rates replayed from
the attempts that drew on them. It never asks the machine.

Where a row cannot say exactly how much is left (draws of half a second count together) it takes the reading that the
rules promise at least, so whatever it reports is a bug.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping

from passloop.kernel.events import PoolKind
from passloop.kernel.pools import NO_RATE
from passloop.kernel.tasks import AttemptRow

from .rows import Rows

__all__ = ["Pools", "known_size"]

WINDOW = 60_000
LASTS = WINDOW + 1_000 + 500
"""How long (ms) a draw counts at most: the window, a margin, and those of half a second together."""


class Pools:
    """The pools as stored after a turn at `now`, with kind and capacity as they were declared."""

    def __init__(self, declared: Mapping[str, tuple[PoolKind, int]], rows: Rows, now: int) -> None:
        self._declared = declared
        self._rows = rows
        self._now = now
        self._closures: dict[str, dict[str, object]] = {}
        for name, (kind, _) in declared.items():
            if kind is not PoolKind.AMOUNT:
                self._closures[name] = json.loads(rows.pools[name].state)["closure"]

    def has(self, name: str, amount: int, *, used: int, kept: int) -> bool:
        """Whether a task may certainly take so much of a pool of which this is used, and kept for others."""
        kind, capacity = self._declared[name]
        if kind is PoolKind.AMOUNT:
            return used + kept + amount <= capacity
        closure = self._closures[name]
        is_probed = closure["gate"] == "half_open" and closure["probe"] is None
        if closure["gate"] != "open" and not is_probed:
            return False
        if kind is PoolKind.RATE:
            return self._drawn(name, since=self._now - LASTS) + kept + amount <= capacity
        there = used + kept
        is_lowered = there and not is_probed
        return there + amount <= (min(capacity, _number(closure["limit"])) if is_lowered else capacity)

    def check_admitted(self, admitted: list[AttemptRow], used: Mapping[str, int]) -> None:
        """Nobody of these was given what was not there: raises AssertionError."""
        for name, (kind, capacity) in self._declared.items():
            drew = [row for row in admitted if name in dict(row.allocation.amounts)]
            if not drew or kind is PoolKind.AMOUNT:
                continue
            closure = self._closures[name]
            assert closure["gate"] in ("open", "half_open"), f"{name} is {closure['gate']}, and {drew} are given of it"
            is_probe = [row.task == closure["probe"] for row in drew]
            assert closure["gate"] == "open" or is_probe == [True], f"{name} is half open, and {drew} are given of it"
            if kind is PoolKind.RATE:
                drawn = self._drawn(name, since=self._now - WINDOW)
                assert drawn <= capacity, f"{drawn} of {capacity} a minute of {name} are drawn, now by {drew}"
            elif closure["gate"] == "open":
                limit = min(capacity, _number(closure["limit"]))
                alone = used[name] == dict(drew[0].allocation.amounts)[name] <= capacity
                assert used[name] <= limit or alone, f"{used[name]} of {limit} of {name} are given, now to {drew}"

    def _drawn(self, name: str, *, since: int) -> int:
        """What was drawn on a rate after a time, as far as it is known by now."""
        return sum(self._draws(name, since))

    def _draws(self, name: str, since: int) -> Iterator[int]:
        for row in self._rows.attempts.values():
            if row.admitted_at > since:
                yield _really_drawn(row, name)


def _really_drawn(row: AttemptRow, name: str) -> int:
    estimated = _amount(row.allocation.amounts, name, 0)
    if row.outcome is None or not estimated:
        return estimated
    return 0 if row.outcome.untried else _amount(row.outcome.used, name, estimated)


def _number(value: object) -> int:
    assert isinstance(value, int)
    return value


def known_size(old: tuple[PoolKind, int] | None, kind: PoolKind, capacity: int) -> tuple[PoolKind, int]:
    """The size of a pool that is declared again: a rate that is known stays so."""
    stays = old is not None and old[0] is kind is PoolKind.RATE and capacity >= NO_RATE
    return old if stays and old is not None else (kind, capacity)


def _amount(amounts: Iterable[tuple[str, int]], name: str, otherwise: int) -> int:
    return next((amount for pool, amount in amounts if pool == name), otherwise)
