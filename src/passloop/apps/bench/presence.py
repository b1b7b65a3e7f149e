"""Whether the code that cells are to run is there, so that a plan tells what each cell would only fail with.

It looks and runs nothing: a class is not imported, since that may take long; the module that holds it is looked for.
"""

from __future__ import annotations

from collections.abc import Mapping

from passloop.apps.presence import has_module, has_program
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
        if not has_program(word, cwd=matrix.cwd, path={**environ, **spec.env}.get("PATH")):
            fix = f"name a program that is on PATH, or a path from {matrix.cwd}"
            complaints.append(file.complaint(("command", 0), f"there is no program {shown(word)}", fix))
    elif spec.adapter == "python" and spec.python:
        module = spec.python.partition(":")[0].partition(".")[0]
        if not has_module(module, beside=[matrix.cwd]):
            fix = f"install it where passloop runs, or put {module}.py into {matrix.cwd}"
            complaints.append(file.complaint(("python",), f"there is no module {shown(module)}", fix))
    if complaints:
        raise file.error(complaints)
