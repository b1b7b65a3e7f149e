"""What a dataset would do, without doing it: its columns in their order, what is there already, calls by model, tokens,
cost and time as they are thought to be. Calls nobody.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from passloop.apps.figures import span_text
from passloop.apps.text import visible

from .cells import cells_of
from .costs import UNIT, cost_of, cost_text
from .dataset import Dataset
from .former_keys import as_stored
from .graph import outputs_of
from .prompts import tokens_estimate

if TYPE_CHECKING:
    from passloop.store.reader import Reader

__all__ = ["ColumnPlan", "GeneratePlan", "plan_of"]

CALL_MS = 2_000
"""A call is thought to take so long; nothing better is known before the first."""


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """One column. `to_ask` cells have no answer yet; tokens are those of all of them; `cost` in 1/UNIT."""

    name: str
    kind: str
    outputs: tuple[str, ...]
    needs: tuple[str, ...]
    model: str | None
    to_ask: int
    input: int
    output: int
    cost: int


@dataclass(frozen=True, slots=True)
class GeneratePlan:
    """The plan of a dataset; `wall_ms` is a guess from limits and `CALL_MS`."""

    generate: str
    out: str
    rows: int
    columns: tuple[ColumnPlan, ...]
    wall_ms: int
    impossible: tuple[str, ...] = ()

    @property
    def calls(self) -> dict[str, int]:
        """How many calls each model gets."""
        found: Counter[str] = Counter()
        for column in self.columns:
            if column.model is not None:
                found[column.model] += column.to_ask
        return dict(found)

    def as_json(self) -> dict[str, Any]:
        """The document of `plan --json`."""
        return {
            "schema_version": 1,
            "generate": self.generate,
            "out": self.out,
            "rows": self.rows,
            "columns": [
                {
                    "name": each.name,
                    "kind": each.kind,
                    "outputs": list(each.outputs),
                    "needs": list(each.needs),
                    "model": each.model,
                    "to_ask": each.to_ask,
                    "tokens": {"input": each.input, "output": each.output},
                    "cost": each.cost / UNIT,
                }
                for each in self.columns
            ],
            "calls": self.calls,
            "cost": sum(each.cost for each in self.columns) / UNIT,
            "wall_ms": self.wall_ms,
        }

    def as_text(self) -> str:
        """For people."""
        lines = [f"{self.generate}: {self.rows:,} rows -> {visible(self.out)}", ""]
        width = max(len(each.name) for each in self.columns)
        for each in self.columns:
            after = f"  after {', '.join(each.needs)}" if each.needs else ""
            asks = f"  {each.to_ask:,} cells" if each.model is not None or each.kind == "python" else ""
            model = f" on {each.model}" if each.model is not None else ""
            lines.append(f"  {each.name.ljust(width)}  {each.kind}{model}{asks}{after}")
        lines.append("")
        for model_name, count in self.calls.items():
            of = [each for each in self.columns if each.model == model_name]
            tokens = f"about {sum(each.input for each in of):,} tokens in, {sum(each.output for each in of):,} out"
            cost = sum(each.cost for each in of)
            lines.append(
                f"{model_name}: {count:,} calls, {tokens}" + (f", cost {cost_text(cost / UNIT)}" if cost else "")
            )
        lines.append(
            f"about {span_text(self.wall_ms / 1000)}, if a call takes {span_text(CALL_MS / 1000)}; refusals come on top"
        )
        return "\n".join(lines)


def plan_of(dataset: Dataset, reader: Reader | None = None) -> GeneratePlan:
    """The plan; `reader` knows what is answered already."""
    missing = _missing(dataset, reader)
    columns = []
    for column in dataset.graph.order:
        read, written = tokens_estimate(dataset, column) if column.model is not None else (0, 0)
        count = missing[column.name]
        spent = (read * count, written * count)
        needs = tuple(each.name for each in dataset.graph.order if each.name in dataset.graph.needs[column.name])
        cost = cost_of(dataset, column, spent)
        columns.append(
            ColumnPlan(column.name, column.kind, outputs_of(column), needs, column.model, count, *spent, cost)
        )
    return GeneratePlan(
        generate=dataset.spec.generate,
        out=str(dataset.out),
        rows=dataset.spec.rows,
        columns=tuple(columns),
        wall_ms=_wall(dataset, tuple(columns)),
    )


def _missing(dataset: Dataset, reader: Reader | None) -> Counter[str]:
    """How many cells of each column have no answer. Row groups are looked at until each answer in the store was met."""
    found: Counter[str] = Counter()
    left = 0 if reader is None else _answers(reader, dataset)
    unit = 0
    while reader is not None and left > 0 and unit < dataset.units:
        cells = as_stored(reader, dataset, cells_of(dataset, unit)).cells
        known = reader.keyed([cell.key for cell in cells])
        lacking = [cell.column.name for cell in cells if cell.key not in known or known[cell.key].state != "succeeded"]
        found.update(lacking)
        left -= len(cells) - len(lacking)
        unit += 1
    for column in dataset.tasks:
        found[column.name] += dataset.units - unit if column.batch else dataset.spec.rows - _first_row(dataset, unit)
    return found


def _first_row(dataset: Dataset, unit: int) -> int:
    return min(unit * dataset.spec.row_group, dataset.spec.rows)


def _answers(reader: Reader, dataset: Dataset) -> int:
    """How many answers of the dataset are in the store, those of cells that it no longer has among them."""
    from passloop.store.filters import TaskFilter

    return reader.count(TaskFilter(keys=(f"generate:{dataset.root}:*",), states=("succeeded",)))


def _wall(dataset: Dataset, columns: tuple[ColumnPlan, ...]) -> int:
    """The time of the model that takes longest, by its places and its endpoint's requests per minute."""
    longest = 0
    for name, entry in dataset.spec.models.items():
        calls = sum(column.to_ask for column in columns if column.model == name)
        endpoint = dataset.spec.endpoints[entry.endpoint]
        places = entry.max_in_flight or endpoint.max_in_flight or 8
        span = -(-calls // places) * CALL_MS
        if endpoint.requests_per_minute:
            span = max(span, calls * 60_000 // endpoint.requests_per_minute)
        longest = max(longest, span)
    return longest
