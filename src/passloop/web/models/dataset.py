"""A dataset as the page shows it: its columns as a graph with how far each is, its rows, one row with what was said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from passloop.apps.generate.costs import UNIT, cost_of, spent_of
from passloop.apps.generate.dataset import Dataset, dataset_of_text
from passloop.apps.generate.gathering import GatheredRow, gather_unit
from passloop.apps.generate.graph import outputs_of
from passloop.apps.generate.row_view import row_view
from passloop.apps.generate.spec import Column
from passloop.apps.queue.views import Json, document, pool_view
from passloop.engine.errors import NotFound
from passloop.kernel.overview import PoolView
from passloop.store.reader import Reader, RunView
from passloop.store.tallies import NodeCount

__all__ = ["dataset", "one_row", "rows"]

MINUTE = 60_000
NOTHING = NodeCount({}, 0)


def dataset(reader: Reader, run: RunView, *, now: int, pools: Mapping[str, PoolView]) -> Json:
    """The document of a dataset's run; tokens and cost are those of all its runs. Raises `NotFound`."""
    made = _dataset(reader, run)
    nodes = reader.nodes(run.row.id, since=now - MINUTE)
    places = {column.name: place for place, column in enumerate(made.tasks)}
    spent = spent_of(reader, made)
    columns = []
    for column in made.graph.order:
        place = places.get(column.name, -1)
        node = nodes.get(place, NOTHING)
        columns.append(
            _column(made, column, node, spent.get(column.name, (0, 0)))
            | {"earlier": _earlier(made, run, place, node) if place >= 0 else 0}
        )
    names = {name for model in made.models.values() for name in (model.pool, model.endpoint.pool)}
    return document(
        run={"id": run.row.id, "name": run.row.name},
        began=run.row.submitted_at,
        ended=None if run.source is None else run.source.row.ended_at,
        out=str(made.out),
        rows=made.spec.rows,
        row_group=made.spec.row_group,
        target=made.spec.target is not None,
        columns=columns,
        cost=sum(column["cost"] for column in columns),
        max_cost=made.spec.limits.max_cost,
        pools=[pool_view(pool) for name, pool in pools.items() if _is_of(name, names)],
    )


def rows(reader: Reader, run: RunView, *, offset: int, limit: int) -> Json:
    """Some rows with their values and what became of them. Raises `NotFound`."""
    made = _dataset(reader, run)
    last = min(offset + limit, made.spec.rows)
    found: list[Json] = []
    size = made.spec.row_group
    for unit in range(offset // size, -(-last // size) if last > offset else 0):
        found += [_row(row) for row in gather_unit(reader, made, unit) if offset <= row.row < last]
    return document(total=made.spec.rows, offset=offset, outputs=list(made.outputs), rows=found)


def one_row(reader: Reader, run: RunView, row: int) -> Json:
    """One row with its prompts, answers and attempts. Raises `NotFound`."""
    made = _dataset(reader, run)
    if row >= made.spec.rows:
        raise NotFound(f"there is no row {row}: they are 0 to {made.spec.rows - 1}", hint="ask for one of these")
    return document(**row_view(reader, made, row))


def _dataset(reader: Reader, run: RunView) -> Dataset:
    source = reader.source(run.row.id)
    if source is None or source.row.kind != "generate":
        raise NotFound(f"run {run.row.id} makes no dataset", hint="passloop ls")
    return dataset_of_text(source.spec)


def _column(made: Dataset, column: Column, node: NodeCount, spent: tuple[int, int]) -> dict[str, Any]:
    model = made.models[column.model] if column.model is not None else None
    return {
        "name": column.name,
        "kind": column.kind,
        "model": column.model,
        "endpoint": None if model is None else model.endpoint.base_url,
        "pool": None if model is None else model.pool,
        "outputs": list(outputs_of(column)),
        "needs": sorted(made.graph.needs[column.name]),
        "counts": node.counts,
        "done_last_minute": node.lately,
        "tokens": {"input": spent[0], "output": spent[1]},
        "cost": cost_of(made, column, spent) / UNIT,
    }


def _earlier(made: Dataset, run: RunView, place: int, node: NodeCount) -> int:
    """Cells of a column that were there from earlier runs: of the rows written out those without a task of this run."""
    if run.source is None:
        return 0
    row = run.source.row
    units = next((lag.unit for lag in row.lags if lag.node == place), row.unit)
    return max(0, min(made.spec.rows, units * made.spec.row_group) - sum(node.counts.values()))


def _row(row: GatheredRow) -> Json:
    return {"row": row.row, "status": row.status, "reason": row.reason, "values": dict(row.values)}


def _is_of(name: str, pools: set[Any]) -> bool:
    """Whether a pool is one of these, or the rate of one."""
    return name in pools or name.rpartition(":")[0] in pools
