"""A python cell, in a warm worker: reads its inputs as they are committed, calls the user's function, hands back what
it made. One call for a row, or one for a whole row group. It may only read the store.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passloop import worker

from .answers import CellAnswer, answer_text
from .dataset import Dataset, dataset_of_text
from .inputs import row_from_store
from .rows import named

if TYPE_CHECKING:
    from passloop.store.reader import Reader

__all__ = ["run"]


def run(order: Mapping[str, Any]) -> dict[str, str]:
    """The cell's answer, as JSON text under `cell`."""
    reader = _reader(worker.cell().out.parents[4])  # HOME/runs/RUN/TASK/EPOCH/out
    dataset = _dataset(reader, int(order["run"]))
    column = dataset.columns[str(order["column"])]
    needs = column.needs or []
    rows = []
    for each in order["rows"]:
        row = row_from_store(reader, dataset, each, int(each["row"]) % dataset.spec.row_group)
        rows.append({name: row.values[name] for name in needs})
    function = _function(str(column.call), dataset)
    if not column.batch:
        return {"cell": answer_text(CellAnswer(named(column, function(rows[0]))))}
    made = list(function(rows))
    if len(made) != len(rows):
        raise ValueError(f"{column.call} made {len(made)} rows of {len(rows)}")
    return {"cell": answer_text(CellAnswer(rows=[named(column, value) for value in made]))}


def _reader(home: Path) -> Reader:
    from passloop.store.home import Home
    from passloop.store.reader import Reader

    if "reader" not in worker.kept:
        worker.kept["reader"] = Reader.open(Home(home))
    found: Reader = worker.kept["reader"]
    return found


def _dataset(reader: Reader, run_id: int) -> Dataset:
    if worker.kept.get("run") != run_id:
        source = reader.source(run_id)
        if source is None:
            raise worker.Refused(f"the store has no source of run {run_id}")
        worker.kept["dataset"] = dataset_of_text(source.spec)
        worker.kept["run"] = run_id
    found: Dataset = worker.kept["dataset"]
    return found


def _function(target: str, dataset: Dataset) -> Any:
    module, _, name = target.partition(":")
    folder = str(dataset.folder)
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return getattr(import_module(module), name)
