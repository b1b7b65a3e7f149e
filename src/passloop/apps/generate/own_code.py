"""The code of python columns: what a column's module says now, and which runs took what it said before. Reads the
modules' files, imports none; what lies elsewhere than beside the spec is not looked at.

The code is in no identity: with a word changed in a module, answers that were paid for would be asked for again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passloop.apps.source_digest import module_digest

from .spec import Column

if TYPE_CHECKING:
    from .dataset import Dataset

__all__ = ["codes_of", "codes_told", "runs_of_other_code"]


def codes_of(columns: Iterable[Column], folder: Path) -> dict[str, str]:
    """The digest of the code of each python column whose module lies in this folder."""
    found = {}
    for column in columns:
        digest = module_digest(folder, column.call.partition(":")[0]) if column.call is not None else None
        if digest is not None:
            found[column.name] = digest
    return found


def codes_told(dataset: Dataset) -> dict[str, list[str]]:
    """What a run tells of its code: by column what its cells are the same by, but for the code, and the code."""
    return {name: [dataset.fingerprints[name][:16], str(code)] for name, code in dataset.codes.items()}


def runs_of_other_code(dataset: Dataset, abouts: Iterable[tuple[int, Mapping[str, Any]]]) -> dict[str, list[int]]:
    """By column the runs that, by what is told about them, took other code than there is now for the same cells."""
    now = codes_told(dataset)
    found: dict[str, list[int]] = {}
    for run, about in abouts:
        for name, (same, code) in about.get("codes", {}).items():
            if name in now and now[name][0] == same and now[name][1] != code:
                found.setdefault(name, []).append(run)
    return found
