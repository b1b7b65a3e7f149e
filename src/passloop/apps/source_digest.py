"""Digests of a user's own code, to notice that it was edited. Reads files; imports and runs nothing."""

from __future__ import annotations

import ast
import hashlib
from functools import lru_cache
from pathlib import Path

__all__ = ["file_digest", "module_digest"]

LARGEST = 2**20
"""Bytes of a file above which it is data, not code."""


def module_digest(folder: Path, module: str) -> str | None:
    """16 hex digits of a module that lies in this folder; None if it lies elsewhere."""
    place = folder.joinpath(*module.split("."))
    return file_digest(place.with_name(f"{place.name}.py")) or file_digest(place / "__init__.py")


def file_digest(path: Path) -> str | None:
    """16 hex digits of what a file says, of Python without comments and layout; None if there is none to be read."""
    try:
        found = path.stat()
        if not path.is_file() or found.st_size > LARGEST:
            return None
        return _digest(path, found.st_mtime_ns, found.st_size)
    except (OSError, ValueError):
        return None


@lru_cache(maxsize=100)
def _digest(path: Path, _changed: int, _size: int) -> str:
    source = path.read_bytes()
    told = _without_comments(source) if path.suffix == ".py" else source
    return hashlib.sha256(told).hexdigest()[:16]


def _without_comments(source: bytes) -> bytes:
    try:
        return ast.unparse(ast.parse(source)).encode(errors="replace")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return source
