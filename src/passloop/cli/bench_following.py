"""Following the cells of a matrix to their end: how long it still takes, and cancelling what must not run any more.

A cell that is taken out says so itself; here its fellows are spared the start, and a failure is noted for the breaker
that the cell could not note, because it was killed. Nothing is decided that the cells would not decide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from passloop.apps.bench.remaining import Remaining
from passloop.apps.bench.results import error_of_task
from passloop.apps.bench.session import Session
from passloop.apps.bench.tasks import BenchTask
from passloop.cli.client import Client, EngineStream
from passloop.cli.lasting_reads import LastingReads
from passloop.cli.progress import Progress, watch
from passloop.cli.spans import task_span
from passloop.cli.wording import FINAL, ids_text, is_run_over

__all__ = ["Following"]

Note = Callable[[list[int]], None]
_AT_ONCE = 500


class Following:
    """The tasks of one start of a spec."""

    def __init__(self, client: Client, session: Session, tasks: Sequence[BenchTask]) -> None:
        self._client = client
        self._session = session
        self._fail_fast = session.invocation.fail_fast
        self._progress: CellProgress | None = None
        names = {task.cell.hash: task.cell.names for task in tasks}
        self._remaining = Remaining(
            {task.cell.hash: session.learned.millis(task.cell) for task in tasks},
            {cell: f"{each.model} {each.benchmark} {each.subset}" for cell, each in names.items()},
        )

    def to_the_end(
        self, events: EngineStream, ids: Sequence[int], *, run: int | None, note: Note
    ) -> list[dict[str, Any]]:
        """Show progress until these tasks, and all that a `run` in units brings, are final; returns the tasks."""
        self._progress = CellProgress(self._client, ids, run=run, note=note, remaining=self._remaining)
        return watch(self._progress, events, on_ended=self._on_ended)

    def _on_ended(self, ended: list[dict[str, Any]]) -> None:
        for task in ended:
            if task["state"] == "succeeded":
                self._remaining.took(cell_of(task), task_span(task) or 0)
            elif task["state"] == "failed":
                self._session.blame(task)
                self._spare(task)

    def _spare(self, task: dict[str, Any]) -> None:
        """Cancel what would be taken out at its start: all cells after a first failure, or those of one model."""
        sort, message = error_of_task(task)
        if sort == "skipped":
            model = (task.get("params") or {}).get("model")
            left = [each for each in self._waiting() if self._fail_fast or _model(each) == model]
            self._cancel(left, f"skipped: {message}")
        elif self._fail_fast:
            self._cancel(self._waiting(), "skipped: another cell failed (--fail-fast)")

    def _waiting(self) -> list[dict[str, Any]]:
        return [] if self._progress is None else list(self._progress.tasks.values())

    def _cancel(self, tasks: Sequence[dict[str, Any]], reason: str) -> None:
        words = ids_text(task["id"] for task in tasks if task["state"] not in (*FINAL, "running", "stopping")).split()
        for at in range(0, len(words), _AT_ONCE):
            self._client.post("/tasks/cancel", {"select": words[at : at + _AT_ONCE], "reason": reason[:500]})


class CellProgress(Progress):
    """How the cells stand: those asked for at once, and those of a run in units as they are written out."""

    def __init__(
        self, client: Client, ids: Iterable[int], *, run: int | None, note: Note, remaining: Remaining
    ) -> None:
        self._run = run
        self._note = note
        self._remaining = remaining
        self._foreign: set[int] = set()
        super().__init__(client, ids)

    @property
    def ended(self) -> bool:
        """Whether every task is final and none is to come."""
        return super().ended and (self._run is None or self._over(self._run))

    def take(self, events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Follow events, also of tasks that are new."""
        seen = list(events)
        if self._run is not None:
            touched = {int(task["id"]) for event in seen for task in event.get("tasks", ())}
            self._add(touched - self.tasks.keys() - self._foreign)
        return super().take(seen)

    def _look_again(self) -> list[dict[str, Any]]:
        known = set(self.tasks)
        ended = super()._look_again()
        if self._run is None:
            return ended
        new = [task for task in self.read([f"@{self._run}"]) if task["id"] not in known]
        self._note([task["id"] for task in new])
        self.tasks.update({task["id"]: task for task in new})
        return ended + [task for task in new if task["state"] in FINAL]

    def left(self) -> int | None:
        """Milliseconds until all have ended, by what each cell is thought to take."""
        counts = self.counts
        ended = {cell_of(task) for task in self.tasks.values() if task["state"] in FINAL}
        return self._remaining.left(ended, at_once=counts["running"] + counts["admitted"])

    def _add(self, new: set[int]) -> None:
        found = self.read(ids_text(new).split()) if new else []
        own = {task["id"]: task for task in found if task["run"]["id"] == self._run}
        self._foreign |= new - own.keys()
        self._note(list(own))
        self.tasks.update(own)

    def _over(self, run: int) -> bool:
        """Whether the run's source is over and all of its tasks are final, by the engine's word; then all are here."""
        found = LastingReads(self.client).run(run)["run"]
        if not is_run_over(found):
            return False
        self.tasks.update({task["id"]: task for task in self.read([f"@{run}"])})
        return True


def cell_of(task: dict[str, Any]) -> str:
    """The cell's hash."""
    return str((task.get("params") or {}).get("cell"))


def _model(task: dict[str, Any]) -> Any:
    return (task.get("params") or {}).get("model")
