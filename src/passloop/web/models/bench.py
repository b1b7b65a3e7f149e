"""A matrix as the page shows it: its table with what is missing, every cell, and one cell with its samples.

The plan lies in the results; how cells stand is told by the store, and scores of samples by the results, some more of
them with each question so that none takes long. Everything is opened inside the folder of the results, which may not
answer: so only `asked_of` has a `Reader`, and it opens no file.
"""

from __future__ import annotations

import json
import os
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from passloop.apps.bench.cell_folder import ANSWERS, DONE, SAMPLES
from passloop.apps.bench.planned import Planned, PlannedCell, planned_of_tasks, read_planned
from passloop.apps.bench.results import CellResult, counts_of, results_of_tasks, results_of_tree
from passloop.apps.bench.table import Field, Row, Table, figure_of, table_of
from passloop.apps.figures import lower_is_better
from passloop.apps.queue.views import Json, document, task_view
from passloop.engine.errors import NotFound
from passloop.store.artifacts import open_artifact
from passloop.store.errors import ArtifactRefused
from passloop.store.filters import TaskFilter
from passloop.store.reader import Reader, RunView

__all__ = ["Asked", "asked_of", "cell", "matrix", "samples"]

PROVEN_AT_ONCE = 300
"""Complete cells whose files are read and proven for one question, at most."""
MOST_KEPT = 20_000
_proven: OrderedDict[tuple[str, str, int], CellResult] = OrderedDict()


class Asked(NamedTuple):
    """What the store has of a matrix: the folder of its results, and the tasks of all runs of it."""

    run: RunView
    root: Path
    tasks: list[Json]


class Matrix(NamedTuple):
    """A planned matrix with what came of it: the newest task of each cell, and how each cell stands."""

    root: Path
    planned: Planned
    tasks: Mapping[str, Json]
    results: Sequence[CellResult]


def asked_of(reader: Reader, run: RunView, about: Mapping[str, Any]) -> Asked:
    """What the store has of the matrix of a run."""
    runs = [other.row.id for other in reader.runs() if other.row.name == run.row.name and other.about == run.about]
    tasks = [task_view(task) for task in reader.tasks(TaskFilter(runs=tuple(runs or [run.row.id])))]
    return Asked(run, Path(str(about.get("out"))), tasks)


def matrix(asked: Asked) -> Json:
    """The document of a matrix."""
    found = _found(asked)
    run = asked.run
    table = table_of(found.planned, found.results)
    places = _places(found.planned)
    return document(
        run={"id": run.row.id, "name": run.row.name},
        bench=found.planned.bench,
        out=str(found.root),
        counts=counts_of(found.results),
        dense=list(found.planned.dense),
        columns=[_column(table, column) for column in table.columns],
        rows=[_row(table, row, places) for row in table.rows],
        cells=[_cell(each, found.tasks, table) for each in found.results],
    )


def cell(asked: Asked, name: str) -> Json:
    """One cell (its hash) with its metrics, times and newest task. Raises `NotFound`."""
    found = _found(asked)
    result = next((each for each in found.results if each.cell.cell == name), None)
    if result is None:
        raise NotFound("the matrix has no such cell", hint="passloop report " + str(asked.run.row.id))
    (proven,) = results_of_tree(found.planned._replace(cells=(result.cell,)), found.root)
    if proven.status == "done" and result.status == "done":
        result = proven
    table = table_of(found.planned, found.results)
    told = {
        **_cell(result, found.tasks, table),
        "metrics": dict(result.metrics),
        "path": result.cell.path,
        "millis": result.done.get("millis"),
        "usage": result.done.get("usage"),
        "files": result.done.get("files"),
    }
    return document(cell=told, task=found.tasks.get(name))


def samples(asked: Asked, name: str, *, offset: int, limit: int) -> Json:
    """Answers of one cell with references and scores, as far as they are there. Raises `NotFound`."""
    known = next((each for each in _planned(asked).cells if each.cell == name), None)
    if known is None or not known.path:
        raise NotFound("the matrix has no such cell", hint="passloop report " + str(asked.run.row.id))
    found: list[Any] = []
    total = 0
    for line in _lines(asked.root, known.path):
        if offset <= total < offset + limit:
            found.append(line)
        total += 1
    return document(total=total, offset=offset, samples=[_sample(line) for line in found])


def _found(asked: Asked) -> Matrix:
    planned, root = _planned(asked), asked.root
    newest: dict[str, Json] = {}
    for task in sorted(asked.tasks, key=lambda each: int(each["id"])):
        newest[str((task["params"] or {}).get("cell"))] = task
    results = _proven_results(results_of_tasks(planned, asked.tasks), planned, root)
    return Matrix(root, planned, newest, results)


def _planned(asked: Asked) -> Planned:
    """The plan of its results."""
    return read_planned(asked.root) or planned_of_tasks(asked.run.row.name, asked.tasks)


def _proven_results(results: Sequence[CellResult], planned: Planned, root: Path) -> list[CellResult]:
    """The same; of complete cells what their files say, for some of those that were not read before, too."""
    left = PROVEN_AT_ONCE
    found = []
    for result in results:
        stamp = _stamp(root / result.cell.path / DONE) if result.cell.path and result.status != "running" else None
        if stamp is None:
            found.append(result)
            continue
        key = (str(root), result.cell.cell, stamp)
        if key not in _proven and left > 0:
            left -= 1
            (_proven[key],) = results_of_tree(planned._replace(cells=(result.cell,)), root)
            while len(_proven) > MOST_KEPT:
                _proven.popitem(last=False)
        known = _proven.get(key)
        found.append(known if known is not None and known.status == "done" else result)
    return found


def _stamp(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None


def _places(planned: Planned) -> dict[tuple[str, str, str, str], list[str]]:
    found: dict[tuple[str, str, str, str], list[str]] = {}
    for each in planned.cells:
        found.setdefault((each.model, each.sparse_attention, *each.column), []).append(each.cell)
    return found


def _column(table: Table, column: tuple[str, str]) -> Json:
    metric = table.metrics[column]
    return {
        "benchmark": column[0],
        "subset": column[1],
        "metric": metric,
        "lower_is_better": lower_is_better(metric),
    }


def _row(table: Table, row: Row, places: Mapping[tuple[str, str, str, str], list[str]]) -> Json:
    fields = [
        _field(row.fields[column], places.get((row.model, row.sparse_attention, *column), []))
        if column in row.fields
        else None
        for column in table.columns
    ]
    return {
        "model": row.model,
        "sparse_attention": row.sparse_attention,
        "dense": row.dense,
        "mean": row.mean,
        "kept": row.kept,
        "seconds": row.seconds,
        "fields": fields,
    }


def _field(field: Field, cells: list[str]) -> Json:
    names = ("metric", "value", "low", "high", "difference", "done", "planned", "samples", "why", "unlike")
    return {**{name: getattr(field, name) for name in names}, "cells": cells}


def _cell(result: CellResult, tasks: Mapping[str, Json], table: Table) -> Json:
    planned: PlannedCell = result.cell
    task = tasks.get(planned.cell)
    return {
        "cell": planned.cell,
        "model": planned.model,
        "sparse_attention": planned.sparse_attention,
        "benchmark": planned.benchmark,
        "subset": planned.subset,
        "seed": planned.seed,
        "status": result.status,
        "class": result.error_class or None,
        "message": result.message,
        "task": None if task is None else task["id"],
        "score": figure_of(result, table.metrics[planned.column]),
    }


def _lines(root: Path, path: str) -> Iterator[bytes]:
    """The lines of a cell's samples, or of its answers so far."""
    for name in (SAMPLES, ANSWERS):
        try:
            descriptor = open_artifact(root, f"{path}/{name}")
        except ArtifactRefused:
            continue
        with os.fdopen(descriptor, "rb") as file:
            yield from file
        return


def _sample(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return {"sample": None, "answer": line.decode("utf-8", "replace")[:1_000]}
