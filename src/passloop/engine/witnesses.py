"""Who a home is, and which attempts it had, by what these and workers left in their folders. For a repair of a store
that does not say it: under another id all that runs would be taken for lost, and started once more beside itself; and
an attempt that has the folder of an earlier one is no attempt.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from passloop.drivers.processes.keeper.records import EXIT_FILE, START_FILE, unsealed
from passloop.drivers.workers.orders import WORKER_SUFFIX
from passloop.store.home import Home

from .attempts import attempt_folder

__all__ = ["id_by_attempts", "newest_attempt"]

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


def newest_attempt(home: Home, run: int, task: int) -> int:
    """The number of a task's last attempt that has a folder, 0 if none has."""
    folder = attempt_folder(home, run, task, 1).parent
    try:
        return max((int(name) for name in os.listdir(folder) if _is_number(name)), default=0)
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _is_number(name: str) -> bool:
    """Whether a folder may be that of an attempt, and not one that somebody put there."""
    return name.isascii() and name.isdecimal() and len(name) < 10


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
