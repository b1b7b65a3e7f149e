"""The breaker of one invocation: what a model or a device failed in a row, in a file that all its cells append to.

It lasts as long as the invocation; a cell that comes again as another task (a `retry`) clears it. It takes nothing out
itself: a cell asks before it begins, and ends as skipped. What was skipped is not in the file, which would grow with
it, but in the cell's own error, with a mark of this breaker.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from .breaker_log import BreakerLine, Noted, breaker_log
from .invocation import Invocation

__all__ = ["Breaker"]

MARK = "breaker"


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
        self._log = breaker_log(invocation.log) if invocation.log else None
        self._cell = cell
        self._model = model
        self._sparse_attention = sparse_attention
        self._task = task
        self._devices = tuple(devices)

    def open_for(self, errors: Iterable[Mapping[str, Any]]) -> str:
        """Why this cell must not run; empty if it may. `errors` are those of its attempts so far."""
        noted = self._noted()
        if not noted.tasks:
            return ""
        if noted.tasks.get(self._cell, set()) - {self._task} or any(map(self._is_skip_of_another, errors)):
            self._append(BreakerLine("cleared", task=self._task))
            return ""
        if self._invocation.fail_fast and any(cell != self._cell for cell in noted.tasks):
            return "another cell failed, and the first failure ends all (--fail-fast)"
        cells, configurations = noted.of_model.get(self._model, ((), ()))
        most = self._invocation.model_cells
        if most and len(cells) >= most and len(configurations) >= self._invocation.spread:
            return f"the model {self._model} is taken out: {len(cells)} different cells of it failed"
        return ""

    def failed(self, error_class: str, *, of_model: bool, of_device: bool) -> str | None:
        """Note a failure. The UUID of the device that is now to be taken out, if there is one."""
        on = self._devices if of_device else ()
        self._append(
            BreakerLine(
                "failed",
                cell=self._cell,
                task=self._task,
                model=self._model if of_model else None,
                sparse_attention=self._sparse_attention,
                devices=on,
                error_class=error_class,
            )
        )
        return next((device for device in on if self._is_bad(device)), None)

    @property
    def noted(self) -> bool:
        """Whether a failure of this cell as this task was noted."""
        return self._task in self._noted().tasks.get(self._cell, ())

    @property
    def mark(self) -> Mapping[str, Any]:
        """What the error of a cell that is skipped now says of this breaker."""
        return {MARK: self._name(self._noted())}

    def succeeded(self) -> None:
        """Note a success, where there is something that it speaks against."""
        noted = self._noted()
        if self._model in noted.of_model or any(device in noted.of_device for device in self._devices):
            self._append(BreakerLine("succeeded", model=self._model, devices=self._devices))

    def _is_skip_of_another(self, error: Mapping[str, Any]) -> bool:
        """Whether the cell was skipped as another task, by this breaker as it is since it was cleared."""
        return error.get(MARK) == self._name(self._noted()) and error.get("task") != self._task

    def _is_bad(self, device: str) -> bool:
        return 0 < self._invocation.device_models <= len(self._noted().of_device.get(device, ()))

    def _name(self, noted: Noted) -> str:
        """The breaker of this invocation between two times that it was cleared."""
        return f"{Path(self._invocation.log).stem}:{noted.clears}"

    def _noted(self) -> Noted:
        return Noted() if self._log is None else self._log.noted()

    def _append(self, line: BreakerLine) -> None:
        if self._log is not None:
            self._log.append(line)
