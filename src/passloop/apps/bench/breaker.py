"""The breaker of one invocation: what a model or a device failed in a row, in a file that all its cells append to.

It lasts as long as the invocation; a cell that comes again as another task (a `retry`) clears it. It takes nothing out
itself: a cell asks before it begins, and ends as skipped.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .invocation import Invocation

__all__ = ["Breaker"]

Line = dict[str, Any]


class Breaker:
    """The breaker as one cell sees it, run as `task` on `devices` (UUIDs)."""

    def __init__(
        self,
        invocation: Invocation,
        *,
        cell: str,
        model: str,
        sparse_attention: str,
        task: int,
        devices: Sequence[str],
    ) -> None:
        self._invocation = invocation
        self._path = Path(invocation.log) if invocation.log else None
        self._cell = cell
        self._model = model
        self._sparse_attention = sparse_attention
        self._task = task
        self._devices = tuple(devices)

    def open_for(self) -> str:
        """Why this cell must not run; empty if it may."""
        lines = self._lines()
        if any(line.get("cell") == self._cell and line.get("task") != self._task for line in lines):
            self._append({"sort": "cleared", "task": self._task})
            return ""
        failed = [line for line in lines if line.get("sort") == "failed"]
        if self._invocation.fail_fast and any(line.get("cell") != self._cell for line in failed):
            return "another cell failed, and the first failure ends all (--fail-fast)"
        blaming = self._of_model(lines)
        cells = {line.get("cell") for line in blaming}
        spread = len({line.get("sparse_attention") for line in blaming})
        most = self._invocation.model_cells
        if most and len(cells) >= most and spread >= self._invocation.spread:
            return f"the model {self._model} is taken out: {len(cells)} different cells of it failed"
        return ""

    def failed(self, error_class: str, *, of_model: bool, of_device: bool) -> str | None:
        """Note a failure. The UUID of the device that is now to be taken out, if there is one."""
        on = list(self._devices) if of_device else []
        self._append(
            {
                "sort": "failed",
                "cell": self._cell,
                "task": self._task,
                "model": self._model if of_model else None,
                "sparse_attention": self._sparse_attention,
                "devices": on,
                "class": error_class,
            }
        )
        return next((device for device in on if self._is_bad(device)), None)

    @property
    def noted(self) -> bool:
        """Whether a failure of this cell as this task was noted."""
        own = (
            {"sort": "failed", "cell": self._cell, "task": self._task}.items() <= line.items() for line in self._lines()
        )
        return any(own)

    def skipped(self) -> None:
        """Note that this cell was not run."""
        self._append({"sort": "skipped", "cell": self._cell, "task": self._task})

    def succeeded(self) -> None:
        """Note a success, where there is something that it speaks against."""
        lines = self._lines()
        if self._of_model(lines) or any(self._of_device(lines, device) for device in self._devices):
            self._append({"sort": "succeeded", "model": self._model, "devices": list(self._devices)})

    def _is_bad(self, device: str) -> bool:
        models = {line.get("model") for line in self._of_device(self._lines(), device)}
        return 0 < self._invocation.device_models <= len(models)

    def _of_model(self, lines: list[Line]) -> list[Line]:
        """Failures of the model since its last success."""
        found: list[Line] = []
        for line in lines:
            if line.get("model") == self._model:
                found = [] if line.get("sort") == "succeeded" else [*found, line]
        return found

    def _of_device(self, lines: list[Line], device: str) -> list[Line]:
        """Failures on the device since the last success there."""
        found: list[Line] = []
        for line in lines:
            if device in line.get("devices", ()):
                found = [] if line.get("sort") == "succeeded" else [*found, line]
        return found

    def _lines(self) -> list[Line]:
        """What was noted since the breaker was cleared; a torn line is passed over."""
        if self._path is None or not self._path.exists():
            return []
        lines: list[Line] = []
        for text in self._path.read_bytes().split(b"\n"):
            line = _parsed(text)
            if line.get("sort") == "cleared":
                lines = []
            elif line:
                lines.append(line)
        return lines

    def _append(self, line: Line) -> None:
        if self._path is None:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            os.write(descriptor, b"\n" + json.dumps(line).encode() + b"\n")
        finally:
            os.close(descriptor)


def _parsed(text: bytes) -> Line:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
