"""A row from its parts: what it was given, what was answered, and the expressions over both. Pure: an expression is
computed wherever its inputs are there, never stored and never a task.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .dataset import Dataset
from .graph import outputs_of
from .spec import Column
from .templates import TemplateFailed, evaluate

__all__ = ["Row", "named", "row_of"]


@dataclass(slots=True)
class Row:
    """The values of a row as far as they are there, and why others are not, by column."""

    values: dict[str, Any]
    wrong: dict[str, str] = field(default_factory=dict)

    def has(self, dataset: Dataset, column: str) -> bool:
        """Whether all that a column makes is there."""
        return all(name in self.values for name in outputs_of(dataset.columns[column]))

    def is_whole(self, dataset: Dataset) -> bool:
        """Whether nothing is missing."""
        return all(name in self.values for name in dataset.outputs)


def row_of(dataset: Dataset, given: Mapping[str, Any], answered: Mapping[str, Any]) -> Row:
    """The row of these parts. `answered` holds values of task columns by the names of their outputs."""
    row = Row({**given, **answered})
    for column in dataset.graph.order:
        if column.kind != "expression" or column.expr is None:
            continue
        if all(row.has(dataset, name) for name in dataset.graph.needs[column.name]):
            try:
                row.values[column.name] = evaluate(column.expr, row.values)
            except TemplateFailed as failed:
                row.wrong[column.name] = str(failed)
    return row


def named(column: Column, value: Any) -> dict[str, Any]:
    """A cell's value by the names of its outputs. Raises `ValueError` if some of several are missing."""
    names = outputs_of(column)
    if names == (column.name,):
        return {column.name: value}
    if not isinstance(value, Mapping) or not set(names) <= value.keys():
        raise ValueError(f"{column.name} must make all of: {', '.join(names)}")
    return {name: value[name] for name in names}
