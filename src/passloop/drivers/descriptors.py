"""Where the system lets this process open nothing more: tells that want from other errors, and says when to try again.
It must never be taken for a word about what was to be opened.
"""

from __future__ import annotations

import errno

__all__ = ["AGAIN_S", "lacks_descriptor"]

AGAIN_S = 1.0
"""Seconds until that is tried again for which no descriptor was left, or too many were under way.

A timer, since nothing tells when one becomes free: neither this process's own nor the system's table wakes who waits.
"""

_NO_DESCRIPTOR = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def lacks_descriptor(error: OSError) -> bool:
    """Whether nothing could be opened for want of descriptors or memory, which says nothing of what was asked about."""
    return error.errno in _NO_DESCRIPTOR
