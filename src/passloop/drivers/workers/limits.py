"""Time limits of cells inside a worker: first an exception in the cell, then a signal that no Python code can stop.

The second comes from a timer of the kernel's, by the monotonic clock: a cell that hangs in C code and holds the
interpreter's lock is ended all the same, and without an engine too. The signal's number says what it was.
"""

from __future__ import annotations

import ctypes
import signal

__all__ = ["HARD_LIMIT", "TimeLimit"]

HARD_LIMIT = int(signal.SIGRTMAX)
"""The signal that ends a worker whose cell did not heed its time limit, or that does not end; nothing else sends it."""

_CLOCK_MONOTONIC = 1
_SIGEV_SIGNAL = 0


class _Event(ctypes.Structure):
    """struct sigevent"""

    _fields_ = (
        ("value", ctypes.c_void_p),
        ("signal", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("_", ctypes.c_int * 12),
    )


class _Times(ctypes.Structure):
    """struct itimerspec"""

    _fields_ = tuple((name, ctypes.c_long) for name in ("every_s", "every_ns", "s", "ns"))


def _library(name: str) -> ctypes.CDLL:
    """Where the C library has the function: in a library of its own before glibc 2.34."""
    library = ctypes.CDLL(None, use_errno=True)
    return library if hasattr(library, name) else ctypes.CDLL("librt.so.1", use_errno=True)


class TimeLimit:
    """The limit of one cell at a time. Made once; costs nothing for cells without a limit."""

    def __init__(self) -> None:
        self._timer: ctypes.c_void_p | None = None
        self._armed = False

    def arm(self, limit_ms: int, grace_ms: int) -> None:
        """SIGALRM in `limit_ms`, the hard signal `grace_ms` later."""
        signal.setitimer(signal.ITIMER_REAL, max(limit_ms, 1) / 1000)
        self._set(limit_ms + grace_ms)
        self._armed = True

    def end_within(self, millis: int) -> None:
        """The hard signal in so many ms, for a worker that is to end: it is too late for an exception."""
        self._set(millis)

    def disarm(self) -> None:
        """Neither comes any more."""
        if self._armed:
            self._armed = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            self._set(0)

    def _set(self, millis: int) -> None:
        times = _Times(0, 0, millis // 1000, millis % 1000 * 1_000_000)
        if _library("timer_settime").timer_settime(self._made(), 0, ctypes.byref(times), None):
            raise OSError(ctypes.get_errno(), "timer_settime")

    def _made(self) -> ctypes.c_void_p:
        if self._timer is None:
            timer, event = ctypes.c_void_p(), _Event(None, HARD_LIMIT, _SIGEV_SIGNAL)
            create = _library("timer_create").timer_create
            if create(_CLOCK_MONOTONIC, ctypes.byref(event), ctypes.byref(timer)):
                raise OSError(ctypes.get_errno(), "timer_create")
            self._timer = timer
        return self._timer
