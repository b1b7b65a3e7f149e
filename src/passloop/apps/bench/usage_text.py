"""What a cell used, as columns for people: memory, how busy its device was, by how much its worker grew. Each column
is shown only where some cell has it; it never says that a figure is 0 because it is not known.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from .results import CellResult

__all__ = ["UsageColumn", "usage_columns"]

Usage = Mapping[str, Any]


class UsageColumn(NamedTuple):
    """A column: its heading, and what it says of the figures of one cell ("" = nothing)."""

    heading: str
    says: Callable[[Usage], str]

    def text(self, result: CellResult) -> str:
        """What it says of a cell."""
        return self.says(result.done.get("usage") or {})


def usage_columns(results: Sequence[CellResult]) -> list[UsageColumn]:
    """The columns that say something of these cells."""
    return [column for column in _COLUMNS if any(column.text(each) for each in results)]


def _mib(usage: Usage, *names: str) -> str:
    """The first of these figures that is there, as MiB."""
    value = next((usage[name] for name in names if usage.get(name)), None)
    return f"{value:,.0f} MiB" if isinstance(value, int | float) else ""


def _busy(usage: Usage) -> str:
    mean, peak = usage.get("device_mean_percent"), usage.get("device_peak_percent")
    return "" if mean is None else f"{mean} % (at most {peak} %)"


_COLUMNS = (
    UsageColumn("peak memory", lambda usage: _mib(usage, "peak_mib", "peak_rss_mib")),
    UsageColumn("peak device memory", lambda usage: _mib(usage, "peak_vram_mib", "device_peak_mib")),
    UsageColumn("device busy", _busy),
    UsageColumn("worker grew, and was ended", lambda usage: _mib(usage, "worker_grew_mib")),
)
