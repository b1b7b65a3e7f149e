"""What attempts taught beside how long they ran: what it costs to switch a worker to a key, and with which variant
tasks begin that take alike of memory.

Kept with the pools under a name of its own, so that a machine that is rebuilt knows the same. Records only: what is
learned from which outcome stands in `learning.py`. It must never forget by time, which a replay could not repeat.
"""

from __future__ import annotations

import json

from .ids import PoolName

__all__ = ["LESSONS", "Lessons"]

LESSONS = PoolName(":lessons")
"""The name under which the store keeps them among the pools. No user's pool can have it."""

KNOWN_MOST = 256
"""How many keys, and how many kinds of tasks, are known at most; what was learned longest ago goes first."""

PARTS = 4
"""A new cost counts for one part in so many, what was known before for the others."""


class Lessons:
    """Costs in ms by warm key, and first variants (never 0) by kind of task: its run and what it is."""

    __slots__ = ("_costs", "_variants")

    def __init__(self) -> None:
        self._costs: dict[str, int] = {}
        self._variants: dict[str, int] = {}

    def cost(self, warm_key: str) -> int | None:
        """What it takes in ms until a worker has loaded what the key stands for; None while nothing is known."""
        return self._costs.get(warm_key)

    def learn_cost(self, warm_key: str, millis: int) -> None:
        """A worker took so long."""
        known = self._costs.pop(warm_key, millis)
        _keep(self._costs, warm_key, (known * (PARTS - 1) + millis) // PARTS)

    def variant(self, kind: str) -> int:
        """The first variant that tasks of a kind may use."""
        return self._variants.get(kind, 0)

    def learn_variant(self, kind: str, first: int) -> bool:
        """Tasks of a kind begin with this variant from now on; whether that is news."""
        if first <= self.variant(kind):
            return False
        self._variants.pop(kind, None)
        _keep(self._variants, kind, first)
        return True

    def text(self) -> str:
        """As JSON text for the store."""
        return json.dumps({"costs": self._costs, "variants": self._variants})

    def restore(self, text: str) -> None:
        """Know what a text says that `text` made."""
        kept = json.loads(text)
        self._costs, self._variants = dict(kept["costs"]), dict(kept["variants"])


def _keep(known: dict[str, int], name: str, value: int) -> None:
    known[name] = value
    if len(known) > KNOWN_MOST:
        del known[next(iter(known))]
