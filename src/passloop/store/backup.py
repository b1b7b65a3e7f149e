"""Copies a store while it is in use, through SQLite's online backup. A copy appears whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import apsw

from .connection import open_copy, translated
from .errors import StoreFull

__all__ = ["copy_store", "sync_directory"]

PAGES_A_STEP = 4_096


def copy_store(source: apsw.Connection, target: Path) -> None:
    """Copy what `source` has committed to `target`, which is replaced. Raises `StoreFull`, `StoreDamaged`."""
    part = target.with_name(target.name + ".part")
    try:
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        _copy(source, part)
        os.replace(part, target)
        sync_directory(target.parent)
    except OSError as error:
        hint = "Free space on that disk, or name another path."
        raise StoreFull(f"the backup {target} cannot be written: {error.strerror}", hint=hint) from error
    finally:
        part.unlink(missing_ok=True)


def _copy(source: apsw.Connection, part: Path) -> None:
    with translated(part):
        copy = open_copy(part)
        try:
            with copy.backup("main", source, "main") as running:
                while not running.done:
                    running.step(PAGES_A_STEP)
            copy.pragma("journal_mode", "delete")
        finally:
            copy.close()


def sync_directory(path: Path) -> None:
    """Make names in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
