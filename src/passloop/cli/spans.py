"""Times for people: how long something took, how long ago it was. JSON keeps the exact times."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

__all__ = ["clock_in", "left", "local_time", "millis_of", "since", "span_text", "task_span"]


def millis_of(iso: str | None) -> int | None:
    """An ISO 8601 time in ms since the epoch."""
    return None if iso is None else round(datetime.fromisoformat(iso).timestamp() * 1000)


def span_text(millis: int | None) -> str:
    """`3.2s`, `4m 05s`, `2h 10m`, `3d 4h`; empty for None."""
    if millis is None:
        return ""
    seconds = max(0, millis) / 1000
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d {whole % 86_400 // 3600}h"


def since(iso: str | None) -> int | None:
    """Milliseconds from then to now, never negative."""
    then = millis_of(iso)
    return None if then is None else max(0, time.time_ns() // 1_000_000 - then)


def left(iso: str | None) -> int | None:
    """Milliseconds from now to then, never negative."""
    then = millis_of(iso)
    return None if then is None else max(0, then - time.time_ns() // 1_000_000)


def task_span(task: dict[str, Any]) -> int | None:
    """How long the latest attempt has run, in ms; None if it never started."""
    started, ended = millis_of(task.get("started_at")), millis_of(task.get("ended_at"))
    if started is None:
        return None
    return since(task["started_at"]) if ended is None else max(0, ended - started)


def local_time(iso: str | None) -> str:
    """The time on the user's clock, with its zone."""
    return "" if iso is None else datetime.fromisoformat(iso).astimezone().strftime("%Y-%m-%d %H:%M:%S %Z")


def clock_in(millis: int) -> str:
    """The time of day on the user's clock in so many ms, with its zone."""
    return datetime.fromtimestamp(time.time() + millis / 1000).astimezone().strftime("%H:%M:%S %Z")
