"""Where the results of a spec lie, and whether they may lie there. It only looks: nothing is made or changed.

A folder belongs to the matrix whose plan it holds. Two matrices in one folder would replace each other's plan, so that
a report under one name would tell the cells of the other.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from passloop.apps.text import shown

from .durable import read_json
from .names import PLAN, folder_name
from .resolve import Mistake

__all__ = ["folder_mistakes", "results_folder"]

FIX = "name a folder that you can write into: out: results/other"


def results_folder(bench: str, out: str | None, *, cwd: str) -> str:
    """The absolute folder of the results of the matrix `bench`, for a user in the directory `cwd`."""
    return os.path.normpath(os.path.join(cwd, out or os.path.join("results", folder_name(bench))))


def folder_mistakes(bench: str, folder: str, *, key: str) -> Iterator[Mistake]:
    """Why results of `bench` cannot lie in `folder`, which the `key` of the spec says."""
    there = next(each for each in (Path(folder), *Path(folder).parents) if os.path.lexists(each))
    if not there.is_dir():
        yield Mistake((key,), f"{there} is no folder, so no results can lie in it", FIX)
    elif not os.access(there, os.W_OK | os.X_OK):
        yield Mistake((key,), f"nothing can be written into {there}", FIX)
    owner = _owner(Path(folder))
    if owner is not None and owner != bench:
        fix = f"name another `out`, or go on with them as bench: {owner}"
        yield Mistake((key,), f"{folder} holds the results of the matrix {shown(owner)}", fix)


def _owner(folder: Path) -> str | None:
    """The matrix whose plan lies in `folder`; None if there is no plan that can be read."""
    found = read_json(folder / PLAN)
    bench = found.get("bench") if isinstance(found, Mapping) else None
    return bench if isinstance(bench, str) else None
