"""How many files an engine may have open: as many as the system lets it, not the few that programs are started with.

What the engine runs gets the limit that its user had: a program that waits with select() breaks on descriptors over
1,023. Must never lower a limit for the engine itself.
"""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager, suppress

__all__ = ["all_open_files"]


@contextmanager
def all_open_files() -> Iterator[int]:
    """The soft limit of open files is the hard one inside, and gives what it was before, which it is again after.

    A hard limit that the system does not take any more is left alone.
    """
    before, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    _limit(most, most)
    try:
        yield before
    finally:
        _limit(before, most)


def _limit(soft: int, hard: int) -> None:
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
