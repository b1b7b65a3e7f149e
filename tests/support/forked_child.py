"""A child as a program of a user forks one (`multiprocessing` does by default): it has what was open, without use."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["forked_child", "open_files"]


@contextmanager
def forked_child() -> Iterator[int]:
    """Fork a child here, which runs when this has begun and does nothing until the block ends; its pid."""
    begun, begins = os.pipe()
    waits, go_on = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(go_on)
        os.write(begins, b".")
        os.read(waits, 1)
        os.kill(os.getpid(), signal.SIGKILL)  # any other end would save what all the tests before have covered
    os.close(begins)
    os.close(waits)
    try:
        assert os.read(begun, 1) == b"."
        yield pid
    finally:
        os.close(begun)
        os.close(go_on)
        os.waitpid(pid, 0)


def open_files(pid: int) -> list[Path]:
    """What a process that opens and closes nothing else has open."""
    names = os.listdir(f"/proc/{pid}/fd")
    return [link.readlink() for link in (Path(f"/proc/{pid}/fd/{name}") for name in names) if link.is_symlink()]
