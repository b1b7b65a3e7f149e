"""What made a run: what report and export ask before they load anything of an app."""

from __future__ import annotations

import os
from pathlib import Path

from passloop.apps.bench.names import PLAN
from passloop.apps.queue.views import run_view
from passloop.store.home import Home
from passloop.store.reader import Reader, RunView

__all__ = ["holds_results", "kind_of_run"]


def kind_of_run(home: str, word: str) -> str | None:
    """The app that made a run (an id, a name, `last`), "bench" for a folder of results too; None for a run of commands,
    or no run.
    """
    run = _run_of(home, word)
    if run is not None and run.source is not None:
        return run.source.row.kind
    if holds_results(word):
        return "bench"
    return "bench" if run is not None and run_view(run)["kind"] == "bench" else None


def holds_results(word: str) -> bool:
    """Whether `word` is a folder of results. What can be no path at all is none."""
    return os.path.exists(Path(word) / PLAN)


def _run_of(home: str, word: str) -> RunView | None:
    path = Home(Path(home))
    if not path.database.exists():
        return None
    with Reader.open(path) as reader:
        return next(iter(reader.runs(limit=1)), None) if word == "last" else reader.run(word.removeprefix("@"))
