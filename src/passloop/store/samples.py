"""How busy a device was while an attempt held it. Written beside the journal: a lost sample harms nobody,
and so none is missed where a damaged log ends before it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import apsw

from .sql import statement

__all__ = ["Sample", "read_device", "read_samples", "write_samples"]


class Sample(NamedTuple):
    """One look at one device: `at` in ms, utilisation in percent, device memory in use, power in mW."""

    attempt: int
    at: int
    uuid: str
    utilisation: int
    memory_mib: int
    power_mw: int


def write_samples(connection: apsw.Connection, samples: Sequence[Sample]) -> None:
    """Write samples inside the caller's transaction; one of the same attempt, time and device replaces."""
    connection.executemany(statement("insert_sample"), samples)


def read_samples(connection: apsw.Connection, attempt: int) -> list[Sample]:
    """All samples of an attempt in the order of time."""
    return [Sample._make(row) for row in connection.execute(statement("select_samples"), (attempt,))]


def read_device(connection: apsw.Connection, uuid: str, since: int, until: int) -> list[Sample]:
    """Samples of one device between two times in ms, whichever attempt held it, in the order of time."""
    bindings = {"uuid": uuid, "since": since, "until": until}
    return [Sample._make(row) for row in connection.execute(statement("list_device_samples"), bindings)]
