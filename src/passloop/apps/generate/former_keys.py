"""The keys under which answers were stored until 2026-11-23. A cell behind a batch column was then known without the
batch cell that it waits for, so it passed for the same after the batch had other rows. What was stored so is found as
long as it waited for the very cells of now: it was paid for. Reads only; new cells never get such a key.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from .cells import CellPlace, UnitCells
from .dataset import Dataset

if TYPE_CHECKING:
    from passloop.store.reader import Reader

__all__ = ["as_stored"]


def as_stored(reader: Reader, dataset: Dataset, unit: UnitCells) -> UnitCells:
    """The cells of a row group, each with the key that it is stored under: its own, unless only its former one is."""
    doubtful = {cell.key: cell.former for cell in unit.cells if cell.former is not None}
    if not doubtful:
        return unit
    own = reader.keyed(doubtful)
    former = reader.keyed(each for key, each in doubtful.items() if key not in own)
    keys: dict[tuple[str, int], str] = {}
    found = []
    for cell in unit.cells:
        stored = None if cell.former is None or cell.key in own else former.get(cell.former)
        is_same = stored is not None and _waited_for(reader, stored.task) == _waits(dataset, unit, cell, keys)
        found.append(replace(cell, key=cell.former or cell.key) if is_same else cell)
        keys[cell.column.name, cell.row] = found[-1].key
    return replace(unit, cells=tuple(found))


def _waits(dataset: Dataset, unit: UnitCells, cell: CellPlace, keys: Mapping[tuple[str, int], str]) -> dict[str, str]:
    """The keys of the cells that one waits for, by column; `keys` are those of the cells before it."""
    first = min(unit.givens)
    columns = dataset.columns
    return {
        name: keys[name, first if columns[name].batch else cell.row] for name in dataset.graph.before[cell.column.name]
    }


def _waited_for(reader: Reader, task: int) -> Any:
    """The same of a task as it was written out: those of a call, or of a call of python for one row."""
    view = reader.task(task)
    told = {} if view is None else json.loads(view.payload)
    if "call" in told:
        [told] = told["call"]["args"][0]["rows"]
    return told.get("cells")
