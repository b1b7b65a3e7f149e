"""Scores stored answers again, with the scorers of today: no model, no GPU, and no cell runs again.

A cell that its adapter scored is left as it is. Each cell is complete before, meanwhile and after.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from passloop.apps.errors import BadValue

from .cell_folder import CELL, METRICS, SAMPLES, CellFolder, state_of
from .durable import json_bytes, read_json
from .metrics import storable
from .planned import Planned, PlannedCell
from .plugins import benchmark_kind
from .samples import answers_of, lines_of

__all__ = ["Rescored", "rescore"]


class Rescored(NamedTuple):
    """What became of one cell: `scored`, `unchanged`, or `left` with the reason; its metrics before and after."""

    label: str
    sort: str
    sentence: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]


def rescore(root: Path, planned: Planned) -> Iterator[Rescored]:
    """Score every complete cell of the plan again."""
    for cell in planned.cells:
        folder = root / cell.path
        if folder.exists():
            with CellFolder.locked(folder, cell.cell) as held:
                yield _rescored(cell, held)


def _rescored(cell: PlannedCell, held: CellFolder) -> Rescored:
    state = state_of(held.path, cell.cell)
    if not state.complete:
        return _left(cell, "it is not complete")
    if not state.done.get("scorer"):
        return _left(cell, "its adapter scored it")
    try:
        kind = benchmark_kind(str(read_json(held.path / CELL)["identity"]["benchmark"]["name"]))
    except BadValue as bad:
        return _left(cell, bad.what)
    answers = answers_of(held.path / SAMPLES)
    scores = kind.score(cell.subset, answers)
    if scores is None:
        return _left(cell, "its benchmark cannot score stored answers")
    before, after = read_json(held.path / METRICS), storable(scores.metrics)
    facts = {"scorer": {"name": kind.name, "version": kind.scorer_version}}
    if before == after and state.done["scorer"] == facts["scorer"]:
        return Rescored(cell.label, "unchanged", "", before, after)
    scored = list(answers)
    for place, score in enumerate(scores.samples):
        scored[place] = replace(answers[place], score=score)
    held.rescored({METRICS: json_bytes(after), SAMPLES: lines_of(scored)}, facts)
    return Rescored(cell.label, "scored", "", before, after)


def _left(cell: PlannedCell, why: str) -> Rescored:
    return Rescored(cell.label, "left", why, {}, {})
