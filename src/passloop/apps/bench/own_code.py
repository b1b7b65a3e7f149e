"""The user's own code that cells run: what it says now, and which complete cells are of what it said before.

It is in no identity, so that a word changed in it costs no results: it is noted with each cell, and told.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from passloop.apps.source_digest import file_digest, module_digest

if TYPE_CHECKING:
    from .standing import Standing

__all__ = ["CODE", "code_of", "of_other_code"]

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


def of_other_code(standings: Iterable[Standing], options: Mapping[str, Any], cwd: Path) -> int:
    """How many complete cells were made by other code than there is now, as far as they say by which."""
    now = code_of(options, cwd)
    made = (each.done.get(CODE) for each in standings if each.status == "done")
    return 0 if now is None else sum(code is not None and code != now for code in made)
