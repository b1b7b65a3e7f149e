"""Numbers that programs claim in a home, each for as long as it lives: which limit pool belongs to which `GpuPool`.

A claim is a lock on a small file and ends with its process, whatever that end is; so numbers are used again, and the
home gathers no pools of programs that are gone.
"""

from __future__ import annotations

import fcntl
import itertools
import os
from pathlib import Path

__all__ = ["Number"]

FOLDER = "limits"


class Number:
    """The least number that nobody else has claimed in `home`, from 1 on. `close` gives it back."""

    def __init__(self, home: Path) -> None:
        folder = home / FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
        for value in itertools.count(1):
            descriptor = os.open(folder / str(value), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                continue
            self.value, self._descriptor = value, descriptor
            return

    def close(self) -> None:
        """Give the number back."""
        os.close(self._descriptor)
