"""Matrices and cells for the tests of this folder: written as people write them, run without any engine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from passloop.apps.bench.adapters.base import Granted
from passloop.apps.bench.cell_order import CellOrder, decode_order
from passloop.apps.bench.cell_run import CellEnd, Place, run_cell
from passloop.apps.bench.invocation import Invocation
from passloop.apps.bench.learned import Learned
from passloop.apps.bench.matrix import Cell, Matrix, matrix_of_file
from passloop.apps.bench.tasks import Box, TaskMaker
from passloop.apps.bench.warm import Warm
from passloop.apps.errors import SpecError
from passloop.apps.spec_file import parse_spec
from passloop.clock import FakeClock

__all__ = ["FAKE", "cells_of", "complaints_of_text", "matrix_of_text", "order_of", "run_one"]

FAKE = """
bench: small
adapter: fake
models: {a: {}, b: {}}
sparse_attention: {dense: {}, half: {method: knorm, compression_ratio: 0.5}}
benchmarks: {niah: {subsets: [s1, s2], samples: 3}, words: {samples: 2}}
"""


def matrix_of_text(text: str, folder: Path, *, cwd: Path | None = None) -> Matrix:
    """The matrix of a spec written in `text` that lies in `folder`."""
    file = parse_spec(text.encode(), name="m.yaml", folder=folder)
    return matrix_of_file(file, cwd=str(cwd or folder))


def complaints_of_text(text: str, folder: Path) -> list[str]:
    """What is wrong with it: place, mistake and fix of each."""
    with pytest.raises(SpecError) as caught:
        matrix_of_text(text, folder)
    return [f"{problem.where} {problem.what}; {problem.fix}" for problem in caught.value.problems]


def cells_of(text: str, folder: Path) -> list[Cell]:
    """Its cells."""
    return list(matrix_of_text(text, folder).cells())


def order_of(matrix: Matrix, cell: Cell, invocation: Invocation | None = None) -> CellOrder:
    """What a worker is told of the cell."""
    maker = TaskMaker(matrix, box=Box(), learned=Learned(), invocation=invocation or Invocation())
    return decode_order(maker.task(cell, 0).order)


def run_one(order: CellOrder, out: Path, *, warm: Warm | None = None, task: int = 1, **granted: Any) -> CellEnd:
    """Run the cell as a worker would, with its attempt's folder at `out`."""
    out.mkdir(parents=True, exist_ok=True)
    place = Place(task=task, out=out, granted=Granted(**granted))
    return run_cell(order, place, warm or Warm(), FakeClock())


def names_of(cell: Cell) -> Mapping[str, str]:
    """The four names of a cell."""
    names = cell.names
    return {
        "model": names.model,
        "sparse_attention": names.sparse_attention,
        "benchmark": names.benchmark,
        "subset": names.subset,
    }
