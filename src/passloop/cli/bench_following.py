"""Following the cells of a matrix to their end: how long it still takes, and cancelling what must not run any more.

A cell that is taken out says so itself; here its fellows are spared the start. Nothing is decided that the cells
would not decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from passloop.apps.bench.remaining import Remaining
from passloop.apps.bench.results import error_of_task
from passloop.apps.bench.session import Session
from passloop.apps.bench.tasks import BenchTask
from passloop.cli.client import Client
from passloop.cli.spans import task_span
from passloop.cli.wording import FINAL, ids_text

if TYPE_CHECKING:
    from passloop.cli.progress import Progress

__all__ = ["Following"]

_AT_ONCE = 500


class Following:
    """The tasks of one start of a spec."""

    def __init__(self, client: Client, session: Session, tasks: Sequence[BenchTask]) -> None:
        self._client = client
        self._fail_fast = session.invocation.fail_fast
        self._waiting: dict[int, dict[str, Any]] = {}
        names = {task.cell.hash: task.cell.names for task in tasks}
        self._remaining = Remaining(
            {task.cell.hash: session.learned.millis(task.cell) for task in tasks},
            {cell: f"{each.model} {each.benchmark} {each.subset}" for cell, each in names.items()},
        )

    def to_the_end(self, ids: Sequence[int], *, quiet: bool) -> list[dict[str, Any]]:
        """Show progress until all are final; returns the tasks."""
        from passloop.cli.progress import watch_tasks

        return watch_tasks(self._client, ids, on_ended=self._on_ended, left=self._left)

    def _on_ended(self, ended: list[dict[str, Any]]) -> None:
        for task in ended:
            if task["state"] == "succeeded":
                self._remaining.took(_cell(task), task_span(task) or 0)
            elif task["state"] == "failed":
                self._spare(task)

    def _spare(self, task: dict[str, Any]) -> None:
        """Cancel what would be taken out at its start: all cells after a first failure, or those of one model."""
        sort, message = error_of_task(task)
        if sort == "skipped":
            model = (task.get("params") or {}).get("model")
            left = [each for each in self._waiting.values() if self._fail_fast or _model(each) == model]
            self._cancel(left, f"skipped: {message}")
        elif self._fail_fast:
            self._cancel(list(self._waiting.values()), "skipped: another cell failed (--fail-fast)")

    def _cancel(self, tasks: Sequence[dict[str, Any]], reason: str) -> None:
        words = ids_text(task["id"] for task in tasks if task["state"] not in (*FINAL, "running", "stopping")).split()
        for at in range(0, len(words), _AT_ONCE):
            self._client.post("/tasks/cancel", {"select": words[at : at + _AT_ONCE], "reason": reason[:500]})

    def _left(self, progress: Progress) -> int | None:
        """How long it still takes, in ms; and what is there is kept for `_spare`."""
        self._waiting = progress.tasks
        open_cells = [_cell(task) for task in progress.tasks.values() if task["state"] not in FINAL]
        counts = progress.counts
        return self._remaining.left(open_cells, at_once=counts["running"] + counts["admitted"])


def _cell(task: dict[str, Any]) -> str:
    return str((task.get("params") or {}).get("cell"))


def _model(task: dict[str, Any]) -> Any:
    return (task.get("params") or {}).get("model")
