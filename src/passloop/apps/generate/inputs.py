"""The committed inputs of a cell: what its row was given when it was written out, and the answers that it waits for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .answers import answer_of
from .dataset import Dataset
from .rows import Row, row_of

if TYPE_CHECKING:
    from passloop.store.reader import Reader

__all__ = ["InputsMissing", "row_from_store"]


class InputsMissing(Exception):
    """An answer that a cell waits for is not there."""


def row_from_store(reader: Reader, dataset: Dataset, order: Mapping[str, Any], place: int | None = None) -> Row:
    """The row of a cell. `order` is the cell's: `given`, and `cells` as keys by column; `place` is the row's number
    within its group, for answers that a batch made. Raises `InputsMissing`.
    """
    cells: Mapping[str, str] = order["cells"]
    found = reader.keyed(cells.values()) if cells else {}
    answered: dict[str, Any] = {}
    for column, key in cells.items():
        known = found.get(key)
        answer = None if known is None or known.state != "succeeded" else answer_of(known.results)
        if answer is None:
            raise InputsMissing(f"the answer of column {column} is not there any more")
        answered |= answer.values if answer.rows is None or place is None else answer.rows[place]
    return row_of(dataset, order["given"], answered)
