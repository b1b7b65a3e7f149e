"""Copies a store while it is in use, through SQLite's online backup. A copy appears whole or not at all, and says what
it is.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from passloop.crashpoints import crashpoint

from .connection import open_copy, open_reading, translated
from .copies import NOTE
from .errors import unwritten
from .home import sync_directory
from .sql import statement

__all__ = ["copy_store", "is_database", "is_empty"]

MAGIC = b"SQLite format 3\0"
"""How each database file begins (sqlite.org/fileformat.html, section 1.3)."""
LEFT_AFTER_S = 24 * 60 * 60
"""Age in seconds at which a part is no longer being filled: a copy takes seconds for each GB."""


def is_database(path: Path) -> bool:
    """Whether a plain file with a SQLite database is there. Raises `OSError`."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC


def is_empty(path: Path) -> bool:
    """Whether a plain file is there that has nothing in it, as one that was made for this."""
    return path.is_file() and not path.stat().st_size


def copy_store(source: Path, target: Path) -> None:
    """Copy what the database `source` has committed to `target`, which is replaced.

    Raises `StoreFull`, `StoreDamaged`, and `StoreError` where it may not, or cannot, be written.
    """
    try:
        with _part_of_its_own(target) as part:
            _copy(source, part)
            crashpoint("before_backup")
            os.replace(part, target)
            sync_directory(target.parent)
            crashpoint("after_backup")
    except OSError as error:
        what = f"the backup {target} cannot be written: {error.strerror}"
        room, otherwise = "Free space on that disk, or name another path.", f"Look: ls -ld {target.parent}"
        raise unwritten(what, error, room=room, otherwise=otherwise) from error


@contextmanager
def _part_of_its_own(target: Path) -> Iterator[Path]:
    """A new file beside `target` that no other copy to it uses. It has no lock of ours: on NFS that would be in the way
    of SQLite's own.
    """
    part = target.with_name(f"{target.name}.{secrets.token_hex(4)}.part")
    os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        _remove_what_is_left(target, part.stat().st_mtime - LEFT_AFTER_S)
        yield part
    finally:
        part.unlink(missing_ok=True)


def _remove_what_is_left(target: Path, before: float) -> None:
    """Remove what copies to `target` that died have left, by the clock that dates files there."""
    named = re.compile(re.escape(target.name) + r"\.[0-9a-f]{8}\.part(-journal)?")
    with contextlib.suppress(OSError):
        for path in target.parent.iterdir():
            if named.fullmatch(path.name) and path.stat().st_mtime < before:
                path.unlink(missing_ok=True)


def _copy(source: Path, part: Path) -> None:
    with closing(open_reading(source)) as reader, translated(part), closing(open_copy(part)) as copy:
        with copy.backup("main", reader, "main") as running:
            running.step()
        copy.pragma("journal_mode", "delete")
        copy.execute(statement("upsert_meta"), (NOTE, str(source.absolute().parent)))
