"""Who a home is, by the records that its attempts and workers left in their folders. For a repair of a store that says
it nowhere: under another id all that runs would be taken for lost, and started once more beside itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from passloop.drivers.processes.keeper.records import EXIT_FILE, START_FILE, unsealed
from passloop.drivers.workers.orders import WORKER_SUFFIX
from passloop.store.home import Home

__all__ = ["id_by_attempts"]

_PLACES = (
    ("runs", f"*/*/*/{os.fsdecode(START_FILE)}"),
    ("runs", f"*/*/*/{os.fsdecode(EXIT_FILE)}"),
    ("workers", f"*/{os.fsdecode(START_FILE)}"),
)
"""Of a cell on a warm worker the start record names the worker alone, so its exit record counts, and the worker's own
start record, which has the name of the attempt that it began with.
"""


def id_by_attempts(home: Home) -> str | None:
    """The home's id as the record of its newest attempt names it; None if no whole record does."""
    return max(_named(home), default=(0, None))[1]


def _named(home: Home) -> Iterator[tuple[int, str]]:
    for folder, pattern in _PLACES:
        for path in (home.path / folder).glob(pattern):
            home_id, _, attempt = _name_in(path).removesuffix(WORKER_SUFFIX).rpartition("-")
            if home_id and attempt.isdecimal():
                yield int(attempt), home_id


def _name_in(path: Path) -> str:
    """The name that a record gives its attempt; "" if it is not as it was written."""
    try:
        record = json.loads(unsealed(path.read_bytes()) or b"{}")
    except (OSError, ValueError):
        return ""
    name = record.get("name") if isinstance(record, dict) else None
    return name if isinstance(name, str) else ""
