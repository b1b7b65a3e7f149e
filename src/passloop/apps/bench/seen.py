"""What the engine saw of an attempt that the cell itself cannot know: how busy its devices were, how its worker grew.

It lies beside the attempt's log, in `seen.json`; read back it counts among the figures of the cell. Figures, never
results: nothing is scored by them, and a cell without them is as complete as one with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .durable import read_json, write_json

__all__ = ["SEEN", "keep_seen", "seen_figures"]

SEEN = "seen.json"
_FIGURES = (
    ("device_use", "mean_percent", "device_mean_percent"),
    ("device_use", "peak_percent", "device_peak_percent"),
    ("device_use", "peak_mib", "device_peak_mib"),
    ("growth", "mib", "worker_grew_mib"),
)


def keep_seen(cell: Path, task: Mapping[str, Any]) -> None:
    """Write down what was seen of the latest attempt at the cell in this folder, if anything; `task` has JSON shape."""
    told = {name: task[name] for name in ("device_use", "growth") if task.get(name)}
    attempts = [int(each.name) for each in (cell / "attempts").glob("*") if each.name.isdecimal()]
    if told and attempts:
        write_json(cell / "attempts" / str(max(attempts)) / SEEN, {"task": task.get("id"), **told})


def seen_figures(cell: Path, attempt: object) -> dict[str, int]:
    """The figures of one attempt at the cell in this folder, by the names that they have among `usage`."""
    found = read_json(cell / "attempts" / str(attempt) / SEEN) if isinstance(attempt, int) else None
    if not isinstance(found, dict):
        return {}
    told = ((name, _part(found, part).get(key)) for part, key, name in _FIGURES)
    return {name: value for name, value in told if isinstance(value, int)}


def _part(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = document.get(name)
    return found if isinstance(found, dict) else {}
