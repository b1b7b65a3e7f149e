"""Where the system lets this process open nothing more: tells that want from other errors, and says when to try again.
It must never be taken for a word about what was to be opened.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Awaitable, Callable
from typing import TypeVar

from passloop.passing import Passing

__all__ = ["AGAIN_S", "WANTED_AGAIN_MS", "is_passing", "lacks_descriptor", "none_left", "patiently"]

Made = TypeVar("Made")

AGAIN_S = 1.0
"""Seconds until that is tried again for which no descriptor was left, or too many were under way.

A timer, since nothing tells when one becomes free: neither this process's own nor the system's table wakes who waits.
"""

WANTED_AGAIN_MS = 60_000
"""ms until the task of an attempt that could not begin for long comes again: so long its devices are for others, and a
want that does not end costs an attempt a minute.
"""

DEEPEST = 16
"""So many errors are looked at of those that one was raised for."""
_NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def lacks_descriptor(error: OSError) -> bool:
    """Whether nothing could be opened for want of descriptors or memory, which says nothing of what was asked about."""
    return error.errno in _NO_DESCRIPTOR


def none_left() -> bool:
    """Whether this process can open nothing now: for an error that does not tell its cause."""
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as error:
        return lacks_descriptor(error)
    return False


def is_passing(error: BaseException) -> bool:
    """Whether an error is for a want that passes: of descriptors, or of a store that cannot be read now. So is one that
    was raised for such a one, in whatever words: these are not its own.
    """
    found: BaseException | None = error
    for _ in range(DEEPEST):
        if found is None:
            return False
        if isinstance(found, Passing) or (isinstance(found, OSError) and lacks_descriptor(found)):
            return True
        found = found.__cause__ or found.__context__
    return False


async def patiently(make: Callable[[], Awaitable[Made]]) -> Made:
    """What is made, tried again after `AGAIN_S` as long as a want that passes keeps it back. Raises all else."""
    while True:
        try:
            return await make()
        except Exception as error:
            if not is_passing(error):
                raise
        await asyncio.sleep(AGAIN_S)
