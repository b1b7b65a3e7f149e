"""A matrix from Python: a spec of typed objects, run to its end on the home's engine, and what came of it.

It is what `passloop bench` does, without a file; what is complete already is not run again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .blocking import open_sync
from .door import home_path

if TYPE_CHECKING:
    from passloop.apps.bench.planned import Planned
    from passloop.apps.bench.results import CellResult
    from passloop.apps.bench.spec import BenchSpec
    from passloop.apps.bench.table import Table

__all__ = ["MatrixResult", "run_matrix"]


@dataclass(frozen=True, slots=True)
class MatrixResult:
    """What came of a matrix: its plan, the result of each cell in order, and the folder that holds them."""

    planned: Planned
    results: tuple[CellResult, ...]
    out: Path

    @property
    def counts(self) -> dict[str, int]:
        """Cells by status, and `total`."""
        from passloop.apps.bench.results import counts_of

        return counts_of(self.results)

    @property
    def complete(self) -> bool:
        """Whether every cell is done."""
        return self.counts["done"] == self.counts["total"]

    @property
    def table(self) -> Table:
        """Rows of models and configurations, columns of benchmarks and subsets; gaps have their reason."""
        from passloop.apps.bench.table import table_of

        return table_of(self.planned, self.results)

    def to_pandas(self) -> Any:
        """A data frame with one line for each cell. Raises `BadValue` without pandas."""
        from passloop.apps.bench.frame import to_pandas

        return to_pandas(self.results)

    def _repr_html_(self) -> str:
        """The report, as notebooks show it."""
        from passloop.apps.bench.report_html import report_html
        from passloop.clock import SystemClock

        return report_html(self.planned, self.results, made_at=SystemClock().wall(), out=str(self.out))


def run_matrix(
    spec: BenchSpec,
    *,
    home: str | os.PathLike[str] | None = None,
    folder: str | os.PathLike[str] | None = None,
    virtual_gpus: str | None = None,
) -> MatrixResult:
    """Run every cell of `spec` that is not complete, and return when all are final. Progress goes to stderr.

    Results and commands are relative to the current directory, input paths to `folder` (else there too). Raises
    `SpecError` with every mistake, and `PassloopError` if the home cannot be used.
    """
    from passloop.apps.bench.matrix import matrix_of
    from passloop.apps.bench.models.places import models_kept_in
    from passloop.apps.bench.session import Session
    from passloop.cli.benching import Bench
    from passloop.cli.client import Client
    from passloop.clock import SystemClock

    with models_kept_in(home_path(home)):
        matrix = matrix_of(spec, cwd=os.getcwd(), folder=None if folder is None else Path(folder))
        session = Session(matrix, clock=SystemClock())
        bench = Bench(session, session.look(), spec="")
    if bench.missing:
        with open_sync(home, virtual_gpus=virtual_gpus):
            told = bench.work(Client(str(home_path(home))), lambda _tasks: None)
    else:
        told = bench.told_at_once()
    return MatrixResult(bench.planned, tuple(told.results), session.root)
