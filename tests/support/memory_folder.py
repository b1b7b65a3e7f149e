"""A folder in memory for thousands of stores of which none must outlive the test: there a sync costs nothing.

Where there is no such place it is an ordinary temporary folder. Not for tests of what a disk does.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["memory_folder"]

MEMORY = Path("/dev/shm")


@contextlib.contextmanager
def memory_folder(prefix: str) -> Iterator[Path]:
    """A folder whose name begins so; it is gone at the end."""
    place = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix=f"passloop-{prefix}-", dir=place, ignore_cleanup_errors=True) as path:
        yield Path(path)
