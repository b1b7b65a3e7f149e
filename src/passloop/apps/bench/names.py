"""Names of folders of results, made from names of people: readable, of safe characters only, never a way out of the
results; and the one file whose name says whose folder it is.

A cell's folder ends in ten digits of its hash, so two cells never share one, whatever their names are on any file
system; the names before it are for people.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

__all__ = ["PLAN", "WHOLE", "cell_path", "folder_name"]

PLAN = "matrix.json"
"""The file at the root of the results that says what was planned, and so whose they are."""
WHOLE = "whole"
"""The folder of a benchmark that is one cell."""
DIGITS = 10
LONGEST = 80
NOT_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")


@lru_cache(maxsize=4096)
def folder_name(name: str) -> str:
    """One folder's name for `name`: letters, digits, `.`, `_`, `-`; never empty, hidden, `..` or a device's."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    clean = NOT_PLAIN.sub("_", plain).strip("._-")[:LONGEST].strip("._-")
    if not clean:
        return "_"
    return f"{clean}_" if RESERVED.fullmatch(clean) else clean


def cell_path(*, model: str, sparse_attention: str, benchmark: str, subset: str, cell: str) -> str:
    """The folder of a cell, relative to the results: four names and the first digits of its hash `cell`."""
    names = (model, sparse_attention, benchmark, subset or WHOLE)
    return "/".join([*map(folder_name, names), cell[:DIGITS]])
