"""What answers cost: tokens at the price of their model, and the gate that ends asking at a limit.

Money is counted in millionths of a millionth of the spec's currency unit, as integers, so that sums are exact.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .dataset import Dataset
from .spec import Column

if TYPE_CHECKING:
    from passloop.store.reader import Reader

__all__ = ["UNIT", "CostGate", "cost_of", "cost_text", "spent_of"]

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


def spent_of(reader: Reader, dataset: Dataset) -> dict[str, tuple[int, int]]:
    """What was paid for so far: (input, output) tokens by column, of every try in every run of the dataset, cells that
    its rows no longer have among them. A column that is no longer in the spec is left out; calls whose answer never
    came are in no sum.
    """
    spent = reader.spent_under(f"generate:{dataset.root}:")
    return {name: spent.get(name, (0, 0)) for name, column in dataset.columns.items() if column.model is not None}


class CostGate:
    """What one dataset took, and whether a limit is reached. All its runs count into one gate, and each is asked about
    by its own limit and prices: a spec that was edited may have others. Calls that are under way come on top.
    """

    def __init__(self, spent: Mapping[str, tuple[int, int]]) -> None:
        self._spent = dict(spent)

    @classmethod
    def of_store(cls, reader: Reader, dataset: Dataset) -> CostGate:
        """The gate with what is committed so far, by all runs of the dataset."""
        return cls(reader.spent_under(f"generate:{dataset.root}:"))

    def add(self, column: str, spent: tuple[int, int]) -> None:
        """An answer was paid for."""
        read, written = self._spent.get(column, (0, 0))
        self._spent[column] = (read + spent[0], written + spent[1])

    def cost(self, dataset: Dataset) -> int:
        """What it cost by the prices of this run's spec, in 1/UNIT."""
        return sum(cost_of(dataset, column, self._spent.get(name, (0, 0))) for name, column in dataset.columns.items())

    def passed(self, dataset: Dataset) -> str:
        """Why this run may ask nothing more; empty below its limit."""
        most, cost = dataset.spec.limits.max_cost, self.cost(dataset)
        if most is None or cost < most * UNIT:
            return ""
        return f"the cost limit is reached: {cost / UNIT:.4f} of max_cost {most:g}"
