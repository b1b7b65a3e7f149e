"""The user's own code that cells run: what it says now, and which complete cells are of what it said before.

It is in no identity, so that a word changed in it costs no results: it is noted with each cell, and told.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passloop.apps.source_digest import file_digest, module_digest

if TYPE_CHECKING:
    from .standing import Standing

__all__ = ["CODE", "CodeOfProcess", "code_of", "of_other_code"]

CODE = "code"
"""Under which word DONE.json has the digest."""


def code_of(options: Mapping[str, Any], cwd: Path) -> str | None:
    """16 hex digits of the files that a command names, or of the module of a class; None if none lies beside the cells.
    Words with braces are no files: they are others in each cell.
    """
    path = options.get("python")
    if isinstance(path, str):
        return module_digest(cwd, path.partition(":")[0])
    words = [word for word in options.get("command") or () if isinstance(word, str) and "{" not in word]
    digests = list(filter(None, (file_digest(cwd / word) for word in words)))
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:16] if digests else None


class CodeOfProcess:
    """The code that this process runs: a class as it was imported, whatever its file says since; a program as it is."""

    def __init__(self) -> None:
        self._imported: dict[str, str | None] = {}

    def of(self, options: Mapping[str, Any], cwd: Path) -> str | None:
        """The digest of `code_of`, asked for before what `options` names is imported or started; None, too, of one
        that something else imported before: what it said then is not known.
        """
        path = options.get("python")
        if not isinstance(path, str):
            return code_of(options, cwd)
        module = path.partition(":")[0]
        if module not in sys.modules:
            # Before the import: of a file that changes just then the older digest is noted, and that is told of.
            self._imported[module] = code_of(options, cwd)
        return self._imported.get(module)


def of_other_code(standings: Iterable[Standing], options: Mapping[str, Any], cwd: Path) -> int:
    """How many complete cells were made by other code than there is now, as far as they say by which."""
    now = code_of(options, cwd)
    made = (each.done.get(CODE) for each in standings if each.status == "done")
    return 0 if now is None else sum(code is not None and code != now for code in made)
