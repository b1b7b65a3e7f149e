"""Whether a program or a module that a spec names is on this machine: a plan tells what would only fail without it.

It looks and runs nothing, and imports nothing: a module is looked for, since loading it may take long.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path

__all__ = ["has_module", "has_program"]


def has_program(word: str, *, cwd: str, path: str | None) -> bool:
    """Whether the word names a file that may be run from `cwd` with this PATH (None: the system's own); one with braces
    in it is another for each cell or candidate, and is taken to be there.
    """
    if "{" in word:
        return True
    if os.sep in word:
        place = Path(cwd, word)
        return place.is_file() and os.access(place, os.X_OK)
    return shutil.which(word, path=path) is not None


def has_module(name: str, *, beside: Sequence[str] = ()) -> bool:
    """Whether a top-level module can be found, `beside` folders first, by any finder of this Python: what was installed
    to be edited may have one of its own, and what is built in lies in no folder.
    """
    if PathFinder.find_spec(name, list(beside)) is not None:
        return True
    return any(finder.find_spec(name, None) is not None for finder in sys.meta_path)
