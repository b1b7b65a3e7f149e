"""Workers that lie parked, as people read of them. JSON is untouched by this."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .spans import local_time
from .streams import clean

__all__ = ["worker_lines"]


def worker_lines(workers: Iterable[Mapping[str, Any]]) -> list[str]:
    """One line for each: whose it is, what it keeps loaded, since when, and until when at most."""
    return [f"worker {one['worker']}: {_told(one)}" for one in workers]


def _told(one: Mapping[str, Any]) -> str:
    whose = f"of run {one['run']}, warm for {clean(str(one['key']))}"
    held = f"; lies on {', '.join(one['gpus'])}" if one["gpus"] else ""
    if one["state"] != "parked":
        return f"ending, {whose}{held}"
    return f"parked {whose}, since {local_time(one['since'])}, until {local_time(one['until'])} at most{held}"
