"""The node itself as a pool of runs: an exclusive task keeps every other run off it from its start to its end."""

from __future__ import annotations

from collections import Counter

from .ids import AttemptId
from .resources import NODE

__all__ = ["Node"]


class Node:
    """Which runs are on the node, and which of their attempts are exclusive."""

    __slots__ = ("bit", "exclusive", "holders", "name", "runs")

    def __init__(self, bit: int) -> None:
        self.name = NODE
        self.bit = bit
        self.holders: dict[AttemptId, int] = {}
        self.runs: Counter[int] = Counter()
        self.exclusive: dict[AttemptId, int] = {}

    def take(self, attempt: AttemptId, run: int, *, exclusive: bool) -> None:
        """An attempt of `run` is on the node; one that takes over what another held already was."""
        if attempt not in self.holders:
            self.holders[attempt] = run
            self.runs[run] += 1
        if exclusive:
            self.exclusive[attempt] = run

    def give(self, attempt: AttemptId) -> None:
        """The attempt is gone."""
        run = self.holders.pop(attempt, None)
        if run is not None:
            self.runs[run] -= 1
            if not self.runs[run]:
                del self.runs[run]
        self.exclusive.pop(attempt, None)

    def admits(self, run: int, *, exclusive: bool) -> bool:
        """Whether a task of `run` may join who is there."""
        if self.exclusive and any(owner != run for owner in self.exclusive.values()):
            return False
        return not exclusive or all(other == run for other in self.runs)

    def in_the_way(self, run: int, *, exclusive: bool) -> list[AttemptId]:
        """The attempts that must end before a task of `run` may start."""
        blocking = self.holders if exclusive else self.exclusive
        return [attempt for attempt, owner in blocking.items() if owner != run]
