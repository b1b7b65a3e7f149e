"""How long a running matrix still takes: what each cell was thought to take, corrected by what others really took."""

from __future__ import annotations

from collections.abc import Container, Mapping

__all__ = ["Remaining"]


class Remaining:
    """The estimate of one invocation. `estimates` in ms by cell hash."""

    def __init__(self, estimates: Mapping[str, int], groups: Mapping[str, str]) -> None:
        self._estimates = estimates
        self._groups = groups
        self._took: dict[str, tuple[int, int]] = {}
        self._all = (0, 0)

    def took(self, cell: str, millis: int) -> None:
        """A cell ended well after so long."""
        group, thought = self._groups.get(cell, ""), self._estimates.get(cell, 1)
        sums = self._took.get(group, (0, 0))
        self._took[group] = (sums[0] + millis, sums[1] + thought)
        self._all = (self._all[0] + millis, self._all[1] + thought)

    def left(self, ended: Container[str], *, at_once: int) -> int | None:
        """Milliseconds until all but the `ended` have ended with so many at once; None while nothing ended or runs."""
        if not self._all[1] or not at_once:
            return None
        return round(sum(self._expected(cell) for cell in self._estimates if cell not in ended) / at_once)

    def _expected(self, cell: str) -> float:
        """What a cell takes: its estimate, scaled as that of its group was wrong, else as all were."""
        took, thought = self._took.get(self._groups.get(cell, ""), self._all)
        return self._estimates.get(cell, 1) * took / max(1, thought)
