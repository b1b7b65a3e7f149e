"""Digests of model files: what a cell's identity knows weights by.

Reading tens of gigabytes for each `plan` would take minutes, so a large file's digest is remembered in the home, under
its path, inode, size and time of change, and read again when one of them differs. Losing the memory costs time only.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from passloop.crashpoints import crashpoint

__all__ = ["digest_of_file", "digest_of_files"]

LARGE = 8 * 2**20
"""Bytes from which a digest is remembered."""
CHUNK = 2**20
MEMORY = "digests.json"
MOST = 10_000


def digest_of_files(paths: Iterable[Path], memory: Path) -> str:
    """The SHA-256 of the names and contents of `paths`, in hex. `memory` is the folder that remembers."""
    whole = hashlib.sha256()
    for path in sorted(paths):
        whole.update(f"{path.name}\0{digest_of_file(path, memory)}\n".encode())
    return whole.hexdigest()


def digest_of_file(path: Path, memory: Path) -> str:
    """The SHA-256 of a file's content in hex."""
    found = path.stat()
    if found.st_size < LARGE:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    key = f"{path.resolve()}|{found.st_ino}|{found.st_size}|{found.st_mtime_ns}"
    known = _read(memory / MEMORY)
    if key in known:
        return known[key]
    digest = _digest(path)
    _write(memory / MEMORY, {**_read(memory / MEMORY), key: digest})
    return digest


def _digest(path: Path) -> str:
    whole = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            whole.update(chunk)
    return whole.hexdigest()


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _write(path: Path, known: dict[str, str]) -> None:
    """Replace the memory; a home that cannot be written is one that remembers nothing."""
    kept = dict(list(known.items())[-MOST:])
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle, aside = tempfile.mkstemp(dir=path.parent, prefix=MEMORY)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(kept, file)
        crashpoint("before_digests")
        Path(aside).replace(path)
        crashpoint("after_digests")
    except OSError:
        return
