"""Where what a cell writes goes, by C code too: into the attempt's own files.

A cell that is known to be short writes into a spool, which becomes its file if there is anything in it: making two
empty files would cost such a cell more than its call. Any other has its files from the start, so that they can be
followed.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["Output"]

_NAMES = (b"stdout.log", b"stderr.log")
_SPOOLS = (b"stdout.spool", b"stderr.spool")
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
_libc = ctypes.CDLL(None)


class Output:
    """Standard output and error of a worker whose folder is open as `folder`; they go to the spools between cells."""

    def __init__(self, folder: int) -> None:
        self._folder = folder
        for target, name in enumerate(_SPOOLS, start=1):
            _point(target, name, folder)

    @contextmanager
    def into(self, folder: int, *, short: bool) -> Iterator[None]:
        """Inside, what is written goes to the logs in the attempt's `folder`; for a `short` cell at the end."""
        if short:
            try:
                yield
            finally:
                _flush()
                self._hand_over(folder)
            return
        for target, name in enumerate(_NAMES, start=1):
            _point(target, name, folder)
        try:
            yield
        finally:
            _flush()
            for target, name in enumerate(_SPOOLS, start=1):
                _point(target, name, self._folder)

    def _hand_over(self, folder: int) -> None:
        for target, (spool, name) in enumerate(zip(_SPOOLS, _NAMES, strict=True), start=1):
            if os.fstat(target).st_size:
                os.rename(spool, name, src_dir_fd=self._folder, dst_dir_fd=folder)
                _point(target, spool, self._folder)


def _point(target: int, name: bytes, folder: int) -> None:
    """Make descriptor `target` the file of that name."""
    fd = os.open(name, _FLAGS, 0o600, dir_fd=folder)
    os.dup2(fd, target)
    os.close(fd)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            continue  # the cell closed it, or its disk is full: what it wrote is lost as it would be in any program
    _libc.fflush(None)
