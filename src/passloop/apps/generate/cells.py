"""Row groups into tasks: which cells a group has, which of them are to be asked, and what is asked of the engine for
each. A cell whose newest task succeeded is never asked again. Decides nothing about when.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from passloop.drivers.calls.endpoints import draws_of
from passloop.kernel.ids import CPU
from passloop.kernel.resources import Request, Variant
from passloop.kernel.source_rows import TemplateNode
from passloop.kernel.tasks import Dependency, NewTask, RetryBudgets, TaskSpec

from .caller import CALLER
from .dataset import Dataset
from .prompts import tokens_estimate
from .spec import Column

if TYPE_CHECKING:
    from passloop.store.lookups import Keyed

__all__ = ["CellPlace", "UnitCells", "cells_of", "environment_id", "new_tasks", "template_of"]

PYTHON = "passloop.apps.generate.python_cell:run"
CPU_MILLI = 1_000
_ON_DEAD = {"wait": "wait", "fail": "end", "drop_rows": "fail", "finish_rest": "fail"}
"""What cells wish of a dead pool, by what their dataset says of dead endpoints."""


@dataclass(frozen=True, slots=True)
class CellPlace:
    """One cell that is a task. `row` is the first of the group for a batch, `former` the key that it had in older
    stores (`former_keys.py`), if that was another.
    """

    column: Column
    row: int
    key: str
    former: str | None = None


@dataclass(frozen=True, slots=True)
class UnitCells:
    """The cells of a row group, each after what it waits for, and what its rows are given."""

    unit: int
    givens: Mapping[int, Mapping[str, Any]]
    cells: tuple[CellPlace, ...]


def cells_of(dataset: Dataset, unit: int) -> UnitCells:
    """All cells of a row group. Raises `BadValue` for seed files that cannot be used any more."""
    rows = dataset.rows_of(unit)
    givens = {row: dataset.given(row) for row in rows}
    found = []
    batches: dict[str, str] = {}
    for column in dataset.tasks:
        if column.batch:
            batches[column.name] = dataset.batch_key(column, unit, givens)
            found.append(CellPlace(column, rows[0], batches[column.name]))
            continue
        behind = [batches[name] for name in dataset.behind[column.name]]
        for row in rows:
            key = dataset.key(column, row, givens[row], behind)
            former = dataset.key(column, row, givens[row]) if behind else None
            found.append(CellPlace(column, row, key, former))
    return UnitCells(unit, givens, tuple(found))


def template_of(dataset: Dataset) -> tuple[TemplateNode, ...]:
    """The template of a row group: one node for each column whose cells are tasks."""
    places = {column.name: place for place, column in enumerate(dataset.tasks)}
    return tuple(
        TemplateNode(
            spec.request,
            driver=spec.driver,
            after=tuple(places[name] for name in dataset.graph.before[column.name]),
            completes=True,
            group=_group(dataset, column),
            on_dead=spec.on_dead,
        )
        for column, spec in ((column, task_spec(dataset, column)) for column in dataset.tasks)
    )


def _group(dataset: Dataset, column: Column) -> str:
    """The group of a column's cells inside that of the run: columns share what their dataset gets, and a dataset counts
    as one beside what else is in the group, however many columns it has."""
    return "/".join(re.sub(r"[\s,/]+", "-", name)[:40] for name in (dataset.spec.generate, column.name))


def new_tasks(
    dataset: Dataset,
    unit: UnitCells,
    known: Mapping[str, Keyed],
    *,
    wanted: Collection[str],
    run: int,
    environment: str,
) -> tuple[NewTask, ...]:
    """The tasks of the wanted columns of a row group, but for cells that have answers. `known` are its newest tasks by
    key; `run` is whose source they come from.

    What a cell waits for is among them, has an answer, or came with an earlier part: then it waits for that task.
    """
    specs = {column.name: task_spec(dataset, column) for column in dataset.tasks}
    nodes = {column.name: place for place, column in enumerate(dataset.tasks)}
    keys = {(cell.column.name, cell.row): cell.key for cell in unit.cells}
    there = {key: each.task for key, each in known.items() if each.state != "succeeded"}
    done = known.keys() - there.keys()
    missing = [cell for cell in unit.cells if cell.column.name in wanted and cell.key not in done]
    tasks = there | {cell.key: -1 - place for place, cell in enumerate(missing)}
    maker = _Payloads(dataset, unit, keys, {"run": run, "environment": environment})
    return tuple(
        NewTask(
            spec=specs[cell.column.name],
            payload=maker.payload(cell),
            key=cell.key,
            index=place,
            rank=cell.row,
            after=tuple(Dependency(tasks[key]) for key in maker.waits(cell) if key in tasks),
            node=nodes[cell.column.name],
        )
        for place, cell in enumerate(missing)
    )


def task_spec(dataset: Dataset, column: Column) -> TaskSpec:
    """What all cells of a column ask."""
    spec = dataset.spec
    retries = RetryBudgets(failure=spec.retries.failure, timeout=spec.retries.timeout)
    task_class = f"generate {spec.generate} {column.name}"
    if column.model is None:
        return TaskSpec(
            request=Request((Variant(amounts=((CPU, CPU_MILLI),)),)),
            driver="workers",
            retries=retries,
            task_class=task_class,
            program="generate",
            warm_key=":".join(("generate", dataset.root, column.name, *_code(dataset, column))),
        )
    model = dataset.models[column.model]
    endpoint = spec.endpoints[spec.models[column.model].endpoint]
    return TaskSpec(
        request=Request((Variant(amounts=draws_of(model, tokens=sum(tokens_estimate(dataset, column)))),)),
        driver="calls",
        time_limit=endpoint.timeout,
        grace=0,
        retries=retries,
        task_class=task_class,
        program="generate",
        on_dead=_ON_DEAD[spec.on_dead_endpoint],
    )


def _code(dataset: Dataset, column: Column) -> tuple[str, ...]:
    """What is imported is imported once: other code wants another worker."""
    code = dataset.codes.get(column.name)
    return () if code is None else (code,)


class _Payloads:
    """Makes what is stored with each task of a row group."""

    def __init__(
        self, dataset: Dataset, unit: UnitCells, keys: Mapping[tuple[str, int], str], shared: Mapping[str, Any]
    ) -> None:
        self._dataset = dataset
        self._unit = unit
        self._keys = keys
        self._shared = shared
        self._rows = list(dataset.rows_of(unit.unit))

    def waits(self, cell: CellPlace) -> list[str]:
        """The keys of the cells that a cell waits for."""
        rows = self._rows if cell.column.batch else [cell.row]
        return list(dict.fromkeys(key for row in rows for key in self._before(cell.column, row).values()))

    def payload(self, cell: CellPlace) -> str:
        """JSON text: the cell's order, and for python cells the call."""
        told: dict[str, Any] = {
            "name": f"{cell.column.name}[{cell.row}]",
            "params": {"row": cell.row, "column": cell.column.name},
            "column": cell.column.name,
            "row": cell.row,
            "key": cell.key,
            "run": self._shared["run"],
        }
        if cell.column.model is not None:
            return json.dumps({**told, "caller": CALLER, **self._inputs(cell.column, cell.row)})
        rows = self._rows if cell.column.batch else [cell.row]
        inputs = [{"row": row, **self._inputs(cell.column, row)} for row in rows]
        order = {"column": cell.column.name, "run": self._shared["run"], "rows": inputs}
        call = {"target": PYTHON, "args": [order], "kwargs": {}}
        shared = {"cwd": str(self._dataset.cwd), **self._shared, "env": {}, "index": cell.row}
        return json.dumps({**told, "command": ["python", "-c", str(cell.column.call)], **shared, "call": call})

    def _inputs(self, column: Column, row: int) -> dict[str, Any]:
        return {"given": self._unit.givens[row], "cells": self._before(column, row)}

    def _before(self, column: Column, row: int) -> dict[str, str]:
        """The keys of what a column waits for in a row."""
        found = {}
        for name in self._dataset.graph.before[column.name]:
            is_batch = self._dataset.columns[name].batch
            found[name] = self._keys[name, self._rows[0] if is_batch else row]
        return found


def environment_id(text: str) -> str:
    """The id under which an environment (JSON text) is stored."""
    return hashlib.sha256(text.encode()).hexdigest()
