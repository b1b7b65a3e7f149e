"""Which python columns use cells that were made by other code than there is now. Reads the store, asks nobody."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from passloop.apps.errors import BadValue
from passloop.store.filters import TaskFilter

from .cells import cells_of
from .former_keys import as_stored
from .own_code import runs_of_other_code

if TYPE_CHECKING:
    from passloop.store.reader import Reader

    from .dataset import Dataset

__all__ = ["changed_columns"]


def changed_columns(reader: Reader, dataset: Dataset, abouts: Iterable[tuple[int, Mapping[str, Any]]]) -> list[str]:
    """The columns of which a row uses a cell that a run of other code made. `abouts` are the runs of the dataset, each
    with what is told about it. A run that took other code and found all cells there made none.
    """
    others = runs_of_other_code(dataset, abouts)
    return sorted(name for name, runs in others.items() if _uses_cells_of(reader, dataset, name, runs))


def _uses_cells_of(reader: Reader, dataset: Dataset, column: str, runs: Iterable[int]) -> bool:
    """Whether a cell of the column that the dataset has now is one of these runs; so if a seed file is gone meanwhile
    and nobody can say.
    """
    keys = (f"generate:{dataset.root}:*:{column}:*",)
    theirs = frozenset(reader.task_ids(TaskFilter(runs=tuple(runs), states=("succeeded",), keys=keys)))
    try:
        return bool(theirs) and any(_is_used(reader, dataset, column, unit, theirs) for unit in range(dataset.units))
    except BadValue:
        return True


def _is_used(reader: Reader, dataset: Dataset, column: str, unit: int, theirs: Collection[int]) -> bool:
    cells = as_stored(reader, dataset, cells_of(dataset, unit)).cells
    newest = reader.keyed(cell.key for cell in cells if cell.column.name == column)
    return any(each.task in theirs for each in newest.values())
