"""Scores stored answers again, with the scorers of today: no model, no GPU, and no cell runs again.

A cell that its adapter scored is left as it is. Each cell is complete before, meanwhile and after.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from passloop.apps.errors import BadValue

from .benchmarks.base import scorer_of
from .cell_folder import CELL, METRICS, SAMPLES, CellFolder, state_of
from .durable import json_bytes, read_json
from .metrics import storable
from .planned import Planned, PlannedCell
from .plugins import benchmark_kind
from .results import CellResult
from .samples import answers_of, lines_of

__all__ = ["Rescored", "of_other_scorer", "rescore", "rescore_lines"]


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


def of_other_scorer(results: Iterable[CellResult]) -> int:
    """How many complete cells have scores of another version of their benchmark's scorer than is here now. What an
    adapter scored, or a benchmark that is not here, counts for none: `rescore` leaves it.
    """
    now: dict[str, Mapping[str, str] | None] = {}
    count = 0
    for each in results:
        made = each.done.get("scorer")
        if not made:
            continue
        name = each.cell.benchmark
        if name not in now:
            now[name] = _scorer_here(name)
        count += now[name] is not None and made != now[name]
    return count


def rescore_lines(results: Iterable[CellResult], root: str | os.PathLike[str]) -> list[str]:
    """What to say of results below `root` whose scores are of several scorers, with the command that ends it."""
    count = of_other_scorer(results)
    if not count:
        return []
    cells = "1 cell was" if count == 1 else f"{count:,} cells were"
    command = shlex.join(["passloop", "bench", "rescore", os.path.abspath(root)])
    return [f"{cells} scored by another version of the scorer; to score all by that of now: {command}"]


def _scorer_here(benchmark: str) -> Mapping[str, str] | None:
    try:
        return scorer_of(benchmark_kind(benchmark))
    except Exception:  # a plugin may raise anything where what it wants is not there; its results are to be told of
        return None


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
    facts = {"scorer": scorer_of(kind)}
    if before == after and state.done["scorer"] == facts["scorer"]:
        return Rescored(cell.label, "unchanged", "", before, after)
    scored = list(answers)
    for place, score in enumerate(scores.samples):
        scored[place] = replace(answers[place], score=score)
    held.rescored({METRICS: json_bytes(after), SAMPLES: lines_of(scored)}, facts)
    return Rescored(cell.label, "scored", "", before, after)


def _left(cell: PlannedCell, why: str) -> Rescored:
    return Rescored(cell.label, "left", why, {}, {})
