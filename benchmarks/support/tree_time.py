"""CPU time of everything that a command started, also of what it left behind in sessions of its own.

This process adopts all orphans below it and waits for each, so that the system counts them. It ends nothing: a command
that leaves something behind that stays would be waited for, so measure only what comes to an end.
"""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Callable
from typing import TypeVar

__all__ = ["cpu_of"]

T = TypeVar("T")
PR_SET_CHILD_SUBREAPER = 36


def cpu_of(act: Callable[[], T]) -> tuple[T, float]:
    """What `act` returns, and the CPU seconds of all processes that were started by it and have ended since."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")
    before = _of_children()
    answer = act()
    _reap_all()
    return answer, _of_children() - before


def _reap_all() -> None:
    """Wait for every child, those that were adopted too."""
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


def _of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
