"""How every cell of a matrix stands, by what lies in the results: complete, failed, skipped, begun, or nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .attempt_log import latest_error
from .cell_folder import METRICS, Finding, State, state_of
from .durable import read_json
from .learned import Learned
from .matrix import Cell, Matrix

__all__ = ["Standing", "standing_of", "walk"]


@dataclass(frozen=True, slots=True)
class Standing:
    """One cell and what lies in its folder. `status` is done, failed, skipped or pending."""

    cell: Cell
    status: str
    done: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, Any] = field(default_factory=dict)
    error: Mapping[str, Any] | None = None
    finding: Finding | None = None


def walk(matrix: Matrix, learned: Learned | None = None) -> Iterator[Standing]:
    """Every cell with its standing; what complete ones tell is filed in `learned`."""
    root = Path(matrix.out)
    for cell in matrix.cells():
        standing = standing_of(cell, root)
        if learned is not None and standing.status == "done":
            learned.learn(cell, standing.done)
        yield standing


def standing_of(cell: Cell, root: Path) -> Standing:
    """The standing of one cell of the results in `root`."""
    folder = root / cell.path
    state: State = state_of(folder, cell.hash)
    if state.complete:
        metrics = read_json(folder / METRICS)
        return Standing(cell, "done", state.done, metrics if isinstance(metrics, dict) else {"result": metrics})
    error = latest_error(folder)
    broken = state.finding if state.finding is not None and state.finding.sort != "missing" else None
    if error is None:
        return Standing(cell, "pending", finding=broken)
    status = "skipped" if error.get("class") == "skipped" else "failed"
    return Standing(cell, status, error=error, finding=broken)
