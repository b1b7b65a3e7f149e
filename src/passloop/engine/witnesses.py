"""Who a home is, by the records that its attempts left in their folders. For a repair of a store that says it nowhere:
under another id all that runs would be taken for lost, and started once more beside itself.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from passloop.drivers.processes.keeper.records import START_FILE, unsealed
from passloop.store.home import Home

__all__ = ["id_by_attempts"]


def id_by_attempts(home: Home) -> str | None:
    """The home's id as the start record of its newest attempt names it; None if no whole record does."""
    return max(_named(home), default=(0, None))[1]


def _named(home: Home) -> Iterator[tuple[int, str]]:
    for path in home.runs.glob(f"*/*/*/{os.fsdecode(START_FILE)}"):
        home_id, _, attempt = _name_in(path).rpartition("-")
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
