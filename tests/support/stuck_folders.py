"""A folder whose files do not answer, as one on a network whose server is gone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["stuck_folder"]


@contextmanager
def stuck_folder(folder: Path, name: str) -> Iterator[Path]:
    """A new folder; who opens its file `name` waits for the end of the block, and finds it empty then, as does who
    comes later.
    """
    folder.mkdir()
    file, other = folder / name, folder / "the same"
    os.mkfifo(file)
    os.link(file, other)
    try:
        yield folder
    finally:
        empty = folder / "empty"
        empty.touch()
        empty.replace(file)
        os.close(os.open(other, os.O_RDWR))  # a writer has come and gone: those who wait go on
