"""What answers cost: tokens at the price of their model, and the gate that ends asking at a limit.

Money is counted in millionths of a millionth of the spec's currency unit, as integers, so that sums are exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from passloop.store.filters import TaskFilter

from .answers import answer_of
from .dataset import Dataset
from .spec import Column

if TYPE_CHECKING:
    from passloop.store.reader import Reader

__all__ = ["UNIT", "CostGate", "cost_of", "cost_text"]

UNIT = 10**12


def cost_of(dataset: Dataset, column: Column, spent: tuple[int, int]) -> int:
    """What (input, output) tokens of a column cost, in 1/UNIT; 0 without a price."""
    price = dataset.spec.models[column.model].price if column.model is not None else None
    if price is None:
        return 0
    return round(spent[0] * price.input * 10**6) + round(spent[1] * price.output * 10**6)


def cost_text(cost: float) -> str:
    """A cost in the currency of the prices, for people: whole cents of much, what there is of little."""
    if cost >= 1:
        return f"{cost:,.2f}"
    return f"{cost:.4f}" if cost >= 0.0001 or not cost else "under 0.0001"


class CostGate:
    """What one dataset has cost, and whether its limit is reached. Calls that are under way come on top."""

    def __init__(self, most: float, spent: int = 0) -> None:
        self._most = most
        self._spent = spent

    @classmethod
    def of_store(cls, reader: Reader, dataset: Dataset) -> CostGate:
        """The gate with what is committed so far, by all runs of the dataset."""
        gate = cls(dataset.spec.limits.max_cost or 0.0)
        for view in reader.tasks(TaskFilter(keys=(f"generate:{dataset.root}:*",))):
            answer = answer_of(view.results)
            column = dataset.columns.get(str(view.row.key).split(":")[3])
            if answer is not None and column is not None:
                gate.add(dataset, column, answer.spent)
        return gate

    def add(self, dataset: Dataset, column: Column, spent: tuple[int, int]) -> None:
        """An answer was paid for."""
        self._spent += cost_of(dataset, column, spent)

    @property
    def passed(self) -> str:
        """Why nothing more may be asked; empty below the limit."""
        if self._spent < self._most * UNIT:
            return ""
        return f"the cost limit is reached: {self._spent / UNIT:.4f} of max_cost {self._most:g}"
