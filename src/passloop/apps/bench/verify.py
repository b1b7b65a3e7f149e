"""Looks through results, and changes nothing: every planned cell, and every other folder that claims to be complete."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .cell_folder import DONE, finding_of
from .planned import Planned

__all__ = ["Verified", "verify"]


class Verified(NamedTuple):
    """One thing wrong: where (below the results), which cell, the sort of fault, the file and a sentence."""

    path: str
    label: str
    sort: str
    file: str
    sentence: str


def verify(root: Path, planned: Planned | None) -> Iterator[Verified]:
    """Everything that is missing, empty, truncated, unreadable or mismatching under `root`, in the matrix's order."""
    seen: set[str] = set()
    for cell in planned.cells if planned is not None else ():
        seen.add(cell.path)
        finding = finding_of(root / cell.path, cell.cell)
        if finding is not None:
            yield Verified(cell.path, cell.label, finding.sort, finding.file, finding.sentence)
    for folder in sorted(path.parent for path in root.rglob(DONE)):
        path = folder.relative_to(root).as_posix()
        if path in seen or ".aside-" in folder.name:
            continue
        finding = finding_of(folder)
        if finding is not None:
            yield Verified(path, "no longer in the matrix", finding.sort, finding.file, finding.sentence)
