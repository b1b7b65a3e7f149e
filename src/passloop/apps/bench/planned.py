"""The matrix as it was planned last, in `matrix.json` at the root of the results: with it the tree alone can tell which
cells are missing. It is replaced whole by each start of the spec and holds nothing that the spec does not say.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .cell_folder import METRICS
from .durable import read_json, write_json
from .matrix import Cell, Matrix
from .names import PLAN
from .tasks import metric_of

__all__ = ["Planned", "PlannedCell", "planned_of", "planned_of_tasks", "read_planned", "write_planned"]

VERSION = 1
FIELDS = ("model", "sparse_attention", "benchmark", "subset", "seed", "cell", "path", "metric")


class PlannedCell(NamedTuple):
    """One cell: its names, seed, hash, folder below the results, and the metric that tables show (None: the first)."""

    model: str
    sparse_attention: str
    benchmark: str
    subset: str
    seed: int
    cell: str
    path: str
    metric: str | None

    @property
    def column(self) -> tuple[str, str]:
        """Benchmark and subset."""
        return self.benchmark, self.subset

    @property
    def label(self) -> str:
        """`model / configuration / benchmark / subset`, for people."""
        return " / ".join(filter(None, (self.model, self.sparse_attention, self.benchmark, self.subset)))


class Planned(NamedTuple):
    """A planned matrix: its name, the configurations that are dense, its cells in order."""

    bench: str
    dense: tuple[str, ...]
    cells: tuple[PlannedCell, ...]


def planned_of(matrix: Matrix, cells: Iterable[Cell]) -> Planned:
    """The plan of a checked matrix."""
    return Planned(
        matrix.spec.bench,
        tuple(sorted(matrix.dense_names)),
        tuple(
            PlannedCell(
                cell.names.model,
                cell.names.sparse_attention,
                cell.names.benchmark,
                cell.names.subset,
                cell.seed,
                cell.hash,
                cell.path,
                metric_of(matrix, cell),
            )
            for cell in cells
        ),
    )


def planned_of_tasks(bench: str, tasks: Iterable[Mapping[str, Any]]) -> Planned:
    """The plan as far as the tasks of a matrix (JSON shape) tell it, where the results are gone."""
    cells: dict[str, PlannedCell] = {}
    for task in sorted(tasks, key=lambda each: int(each["id"])):
        params = task.get("params") or {}
        if "cell" in params:
            cell = PlannedCell(
                model=str(params["model"]),
                sparse_attention=str(params["sparse_attention"]),
                benchmark=str(params["benchmark"]),
                subset=str(params["subset"]),
                seed=int(params["seed"]),
                cell=str(params["cell"]),
                path="",
                metric=None,
            )
            cells.setdefault(cell.cell, cell)
    return Planned(bench, ("dense",), tuple(cells.values()))


def write_planned(root: Path, planned: Planned) -> None:
    """Keep the plan in the results."""
    root.mkdir(parents=True, exist_ok=True)
    rows = [list(cell) for cell in planned.cells]
    document = {"version": VERSION, "bench": planned.bench, "dense": list(planned.dense), "fields": FIELDS}
    write_json(root / PLAN, {**document, "cells": rows})


def read_planned(root: Path) -> Planned | None:
    """The plan kept in the results; None if there is none that can be read."""
    found = read_json(root / PLAN)
    if not isinstance(found, Mapping) or found.get("version") != VERSION or tuple(found.get("fields", ())) != FIELDS:
        return None
    cells = [_cell(row) for row in found.get("cells", ())]
    return Planned(str(found.get("bench")), tuple(found.get("dense", ())), tuple(each for each in cells if each))


def _cell(row: Any) -> PlannedCell | None:
    """A cell as kept; one whose folder would lie outside the results is passed over."""
    if not isinstance(row, list) or len(row) != len(FIELDS):
        return None
    cell = PlannedCell(*row)
    parts = str(cell.path).split("/")
    return cell if all(part and not part.startswith(".") for part in parts) and METRICS not in parts else None
