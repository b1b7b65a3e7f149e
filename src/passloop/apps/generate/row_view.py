"""One row of a dataset with each prompt, answer and attempt, from what is committed. Prompts are rendered again: they
are a function of committed inputs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .answers import answer_of
from .cells import cells_of
from .dataset import Dataset
from .former_keys import as_stored
from .gathering import gather_unit
from .prompts import messages_for
from .templates import TemplateFailed

if TYPE_CHECKING:
    from passloop.store.reader import Reader

__all__ = ["row_view"]


def row_view(reader: Reader, dataset: Dataset, row: int) -> dict[str, Any]:
    """The row as JSON says it: its status, and for each column its value, prompt, what was said, and attempts."""
    unit = row // dataset.spec.row_group
    gathered = next(each for each in gather_unit(reader, dataset, unit) if each.row == row)
    cells = as_stored(reader, dataset, cells_of(dataset, unit)).cells
    keys = {cell.column.name: cell.key for cell in cells if cell.row == row or cell.column.batch}
    columns = []
    for column in dataset.graph.order:
        told: dict[str, Any] = {"name": column.name, "kind": column.kind}
        told["value"] = gathered.values.get(column.name)
        if column.model is not None:
            try:
                told["prompt"] = messages_for(dataset, column, gathered.values)
            except TemplateFailed as failed:
                told["prompt"] = str(failed)
        if column.name in keys:
            told |= _task_told(reader, keys[column.name])
        columns.append(told)
    return {"row": row, "status": gathered.status, "reason": gathered.reason, "columns": columns}


def _task_told(reader: Reader, key: str) -> dict[str, Any]:
    known = reader.keyed([key]).get(key)
    if known is None:
        return {"task": None, "attempts": []}
    answer = answer_of(known.results)
    attempts = [
        {
            "outcome": None if each.outcome is None else str(each.outcome.kind),
            "message": "" if each.outcome is None else each.outcome.message,
            "ms": None if each.started_at is None or each.ended_at is None else each.ended_at - each.started_at,
        }
        for each in reader.attempts(known.task)
    ]
    said = {} if answer is None else {"said": answer.text, "tokens": list(answer.spent), "refusals": answer.refusals}
    return {"task": known.task, "state": str(known.state), "attempts": attempts, **said}
