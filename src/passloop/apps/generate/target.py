"""How many rows a dataset with a `target` has kept, and whether more candidates are wanted. Counts each row group once
it is final, so that asking again costs only what is open.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from .dataset import Dataset
from .gathering import gather_unit

if TYPE_CHECKING:
    from passloop.store.reader import Reader

__all__ = ["Kept", "Word"]

Word = Literal["more", "wait", "enough"]


class Kept:
    """What came of the row groups of one run."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset
        self._counted: dict[int, int] = {}

    def word(self, reader: Reader, *, before: int) -> Word:
        """Whether, beside the groups before this one, more are wanted; `wait` while these may turn out to be enough."""
        target = self._dataset.spec.target or 0
        coming = 0
        for unit in range(before):
            if unit not in self._counted:
                rows = gather_unit(reader, self._dataset, unit)
                kept = sum(row.status == "kept" for row in rows)
                pending = sum(row.status == "open" for row in rows)
                if pending:
                    coming += kept + pending
                else:
                    self._counted[unit] = kept
        kept = sum(self._counted.values())
        if kept >= target:
            return "enough"
        return "wait" if kept + coming >= target else "more"
