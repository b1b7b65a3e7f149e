"""What became of the rows of a row group, from what is committed: kept, dropped with the reason, incomplete, or open.

Asks the store only; so it says the same after any crash, and while a run is under way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from .answers import CUT_OFF, CellAnswer, answer_of
from .cells import CellPlace, UnitCells, cells_of
from .dataset import Dataset
from .former_keys import as_stored
from .rows import row_of
from .templates import TemplateFailed, evaluate

if TYPE_CHECKING:
    from passloop.store.lookups import Keyed
    from passloop.store.reader import Reader

__all__ = ["UNANSWERED", "UNDECIDED", "GatheredRow", "Status", "gather_unit"]

UNANSWERED = "no answer for "
"""How the reason begins for which a row is dropped that lacks a column."""

UNDECIDED = "keep: "
"""How the reason begins for which a row is neither kept nor dropped: what `keep` says of it cannot be had."""

Status = Literal["kept", "dropped", "incomplete", "open"]
_FINAL = frozenset({"succeeded", "failed", "cancelled", "aborted", "rejected"})


@dataclass(slots=True)
class GatheredRow:
    """One row. `reason` says why it was dropped, or cannot be kept; `missing` are the columns without a
    value, with their task if any. `cancelled` says that one of these was taken back; `cut_off` are the columns whose
    answers were longer than they might be.
    """

    row: int
    status: Status
    values: Mapping[str, Any]
    reason: str = ""
    missing: dict[str, int | None] = field(default_factory=dict)
    wrong: dict[str, str] = field(default_factory=dict)
    tasks: dict[str, int] = field(default_factory=dict)
    cancelled: bool = False
    cut_off: list[str] = field(default_factory=list)


def gather_unit(reader: Reader, dataset: Dataset, unit: int, cells: UnitCells | None = None) -> list[GatheredRow]:
    """The rows of a row group, in their order. `cells` are those of the group, for who has them already."""
    cells = as_stored(reader, dataset, cells_of(dataset, unit) if cells is None else cells)
    known = reader.keyed([cell.key for cell in cells.cells])
    by_row: dict[int, list[CellPlace]] = {row: [] for row in dataset.rows_of(unit)}
    for cell in cells.cells:
        for row in by_row if cell.column.batch else (cell.row,):
            by_row[row].append(cell)
    answers = {key: answer_of(each.results) for key, each in known.items()}
    return [_gathered(dataset, cells, row, by_row[row], known=known, answers=answers) for row in by_row]


def _gathered(
    dataset: Dataset,
    unit: UnitCells,
    row: int,
    cells: Sequence[CellPlace],
    *,
    known: Mapping[str, Keyed],
    answers: Mapping[str, CellAnswer | None],
) -> GatheredRow:
    answered: dict[str, Any] = {}
    found = GatheredRow(row, "kept", {})
    is_open = False
    place = row % dataset.spec.row_group
    for cell in cells:
        task, answer = known.get(cell.key), answers.get(cell.key)
        if task is not None:
            found.tasks[cell.column.name] = task.task
        if task is not None and task.state == "succeeded" and answer is not None:
            answered |= answer.values if answer.rows is None else answer.rows[place]
            if answer.finish == CUT_OFF:
                found.cut_off.append(cell.column.name)
        else:
            found.missing[cell.column.name] = None if task is None else task.task
            is_open = is_open or task is None or task.state not in _FINAL
            found.cancelled = found.cancelled or (task is not None and task.state == "cancelled")
    made = row_of(dataset, unit.givens[row], answered)
    found.values, found.wrong = made.values, made.wrong
    found.missing |= dict.fromkeys(made.wrong)
    found.status, found.reason = _status(dataset, found, is_open=is_open)
    return found


def _status(dataset: Dataset, row: GatheredRow, *, is_open: bool) -> tuple[Status, str]:
    if row.missing:
        if is_open:
            return "open", ""
        if dataset.spec.on_dead_endpoint == "drop_rows":
            return "dropped", f"{UNANSWERED}{next(iter(row.missing))}"
        return "incomplete", ""
    if dataset.spec.keep is None:
        return "kept", ""
    try:
        return ("kept", "") if evaluate(dataset.spec.keep, row.values) else ("dropped", "keep")
    except TemplateFailed as failed:
        return "incomplete", f"{UNDECIDED}{failed}"
