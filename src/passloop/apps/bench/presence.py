"""Whether the code that cells are to run is there, so that a plan tells what each cell would only fail with.

It looks and runs nothing: a class is not imported, since that may take long; the module that holds it is looked for.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from importlib.machinery import PathFinder
from pathlib import Path

from passloop.apps.spec_file import SpecFile
from passloop.apps.text import shown

from .matrix import Matrix

__all__ = ["check_presence"]


def check_presence(file: SpecFile, matrix: Matrix, *, environ: Mapping[str, str]) -> None:
    """Raise `SpecError` at the program or class of `file` that is not there for cells of `matrix`; `environ` is what
    they get beside their own.
    """
    spec = matrix.spec
    complaints = []
    if spec.adapter == "command" and spec.command:
        word = spec.command[0]
        if not _has_program(word, cwd=matrix.cwd, path={**environ, **spec.env}.get("PATH")):
            fix = f"name a program that is on PATH, or a path from {matrix.cwd}"
            complaints.append(file.complaint(("command", 0), f"there is no program {shown(word)}", fix))
    elif spec.adapter == "python" and spec.python:
        module = spec.python.partition(":")[0].partition(".")[0]
        if PathFinder.find_spec(module, [matrix.cwd, *sys.path]) is None:
            fix = f"install it where passloop runs, or put {module}.py into {matrix.cwd}"
            complaints.append(file.complaint(("python",), f"there is no module {shown(module)}", fix))
    if complaints:
        raise file.error(complaints)


def _has_program(word: str, *, cwd: str, path: str | None) -> bool:
    """Whether the word names a file that may be run; one with an axis in it is different for each cell."""
    if "{" in word:
        return True
    if os.sep in word:
        place = Path(cwd, word)
        return place.is_file() and os.access(place, os.X_OK)
    return shutil.which(word, path=path) is not None
