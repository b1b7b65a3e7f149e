"""Files that a user asked for by name: whole, or as they were before. Written aside, synced, renamed.

What is no plain file (a terminal, a pipe, /dev/null) is written as it is; a link stays one. It says nothing to anyone.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["whole_file", "write_whole_text"]


def write_whole_text(path: Path, text: str, *, mode: int | None = None) -> None:
    """Put a text in the place of the file. Raises `OSError`."""
    with whole_file(path, mode=mode) as file:
        file.write(text.encode("utf-8", "replace"))


@contextmanager
def whole_file(path: Path, *, mode: int | None = None) -> Iterator[IO[bytes]]:
    """A stream whose content is at `path` once the block ends; if it raises, or the process dies, the file that was
    there is. It has that one's mode if none is given, a new one what the umask leaves. Raises `OSError`.
    """
    place = path.resolve()
    there = place.stat().st_mode if place.exists() else None
    if there is not None and not stat.S_ISREG(there):
        with open(path, "wb") as file:
            yield file
        return
    aside = place.with_name(f".passloop-{os.getpid()}.aside")
    descriptor = os.open(
        aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666 if mode is None else mode
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            if mode is None and there is not None:
                os.fchmod(file.fileno(), stat.S_IMODE(there))
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, place)
    finally:
        aside.unlink(missing_ok=True)
