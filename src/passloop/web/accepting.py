"""What is said when no connection can be taken because this process, or the system, can open no more files.

asyncio tries again each second and tells of every failure with a traceback, some of them thousands of times a second:
that would fill the disk on which the log lies. Here it is one line a minute. All else is told as asyncio tells it.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

__all__ = ["tell_wants_seldom"]

BETWEEN = 60.0
"""Seconds between two lines about it."""


def tell_wants_seldom(loop: asyncio.AbstractEventLoop) -> None:
    """Let the loop tell of wants in this way, unless somebody else has chosen what it tells."""
    if loop.get_exception_handler() is None:
        loop.set_exception_handler(_Seldom().hear)


class _Seldom:
    """What a loop tells, with a memory of when it last told of a want."""

    def __init__(self) -> None:
        self._from = float("-inf")

    def hear(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """One failure of which nobody else hears."""
        error = context.get("exception")
        if not (isinstance(error, OSError) and "socket" in context):
            loop.default_exception_handler(context)
            return
        if loop.time() < self._from:
            return
        self._from = loop.time() + BETWEEN
        why = f"no connection can be taken ({error.strerror}); tried again each second, told once a minute"
        print(f"passloop: {why}; passloop doctor tells where to raise the limit", file=sys.stderr, flush=True)
