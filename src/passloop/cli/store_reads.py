"""What the looking verbs see when no engine runs: the store, read-only. It writes nothing and starts nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from passloop.apps.queue.find import filter_of, sources_in
from passloop.apps.queue.selectors import parse_selectors
from passloop.apps.queue.views import document, run_view, shown_task, task_view
from passloop.cli.exits import CliError, Exit
from passloop.cli.homes import no_store_text
from passloop.cli.logfiles import attempt_folder
from passloop.cli.reads import Ask
from passloop.kernel.tasks import FINAL_STATES, TaskState
from passloop.store.errors import StoreMissing
from passloop.store.home import Home
from passloop.store.integrity import open_checked
from passloop.store.reader import Reader, TaskView

__all__ = ["StoreReads"]


class StoreReads:
    """Answers from the store's committed state."""

    running = False

    def __init__(self, home: str) -> None:
        self.home = home
        self._reader = _opened(home)
        self.stored = self._reader is not None

    def tasks(self, ask: Ask) -> dict[str, Any]:
        """As `Reads.tasks`."""
        words = ask.selectors if ask.group is None else (*ask.selectors, f"group:{ask.group}")
        if self._reader is None:
            self._refuse_runs(words)
            return document(tasks=[], total=0)
        wanted = filter_of(parse_selectors(words), self._reader)
        rows = self._reader.tasks(wanted, limit=-1 if ask.limit is None else ask.limit)
        total = len(rows) if ask.limit is None else self._reader.count(wanted)
        return document(tasks=[task_view(row) for row in rows], total=total)

    def task(self, task: int) -> dict[str, Any]:
        """As `Reads.task`."""
        return document(task=self._shown(self._view(task)))

    def why(self, task: int) -> dict[str, Any]:
        """As `Reads.why`: without an engine, its lack is what keeps a task from running."""
        row = self._view(task).row
        blockers = [] if row.state in FINAL_STATES else [self._blocker(row.id, row.state)]
        return document(task=row.id, state=row.state.value, blockers=blockers)

    def run(self, run: int) -> dict[str, Any]:
        """One of them."""
        view = None if self._reader is None else self._reader.run(str(run))
        if view is None:
            raise CliError(f"there is no run {run}", hint=self._where_to_look(), exit_code=Exit.NOT_FOUND)
        return document(run=run_view(view))

    def still_gets_tasks(self, words: tuple[str, ...]) -> bool:
        """Whether some run that these words name whole has a source that is not over."""
        return self._reader is not None and bool(sources_in(parse_selectors(words), self._reader))

    def runs(self) -> dict[str, Any]:
        """As `Reads.runs`."""
        return document(runs=[] if self._reader is None else [run_view(run) for run in self._reader.runs()])

    def shown(self, ask: Ask) -> list[dict[str, Any]]:
        """Tasks as `show` gives them, with their attempts, for reports."""
        if self._reader is None:
            return []
        rows = self._reader.tasks(filter_of(parse_selectors(ask.selectors), self._reader))
        return [self._shown(row) for row in rows]

    def _view(self, task: int) -> TaskView:
        view = None if self._reader is None else self._reader.task(task)
        if view is None:
            raise CliError(f"there is no task {task}", hint=self._where_to_look(), exit_code=Exit.NOT_FOUND)
        return view

    def _refuse_runs(self, words: tuple[str, ...]) -> None:
        """Where nothing was ever stored no run is known."""
        for run in parse_selectors(words).runs:
            raise CliError(f"there is no run {run}", hint=self._where_to_look(), exit_code=Exit.NOT_FOUND)

    def _where_to_look(self) -> str:
        return "passloop ls" if self.stored else no_store_text(self.home)

    def _shown(self, view: TaskView) -> dict[str, Any]:
        assert self._reader is not None
        row = view.row
        attempts = self._reader.attempts(row.id)
        folders = {one.epoch: attempt_folder(self.home, row.run, row.id, one.epoch) for one in attempts}
        return shown_task(view, attempts, folders=folders)

    def _blocker(self, task: int, state: TaskState) -> dict[str, Any]:
        lasting = {
            TaskState.HELD: f"; it is also held: passloop release {task}",
            TaskState.WAITING: "; it also waits for the tasks it comes after",
        }
        working = state in (TaskState.RUNNING, TaskState.STOPPING)
        start = "it may be running still, and nobody watches it" if working else "nothing new starts"
        sentence = f"no engine is running for {self.home}: {start}; passloop up{lasting.get(state, '')}"
        return {
            "code": "no_engine",
            "pool": None,
            "need": None,
            "free": None,
            "holders": [],
            "until": None,
            "sentence": sentence,
        }


def _opened(home: str) -> Reader | None:
    """The store's reader; None for a home in which nothing was ever stored."""
    if not os.path.exists(home):
        return None
    place = Home(Path(home))
    place.check()
    try:
        return open_checked(place)
    except StoreMissing:
        return None
