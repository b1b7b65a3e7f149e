"""What `report` and `export` share: the report of the run that is meant, from the store, with an engine or without."""

from __future__ import annotations

from pathlib import Path

from passloop.apps.queue.gather import gather
from passloop.apps.queue.report import Report
from passloop.cli.exits import CliError, Exit
from passloop.clock import SystemClock
from passloop.store.home import Home
from passloop.store.reader import Reader

__all__ = ["report_of"]


def report_of(home: str, text: str) -> Report:
    """The report of the run that `text` means: its id or name, with or without @, or `last`.

    Runs of the same sweep count as one. Raises `CliError` or what the store raises.
    """
    place = Home(Path(home))
    if not place.database.exists():
        raise CliError(f"there are no runs in {home} yet", hint="passloop submit SPEC.yaml", exit_code=Exit.NOT_FOUND)
    place.check()
    with Reader.open(place) as reader:
        return gather(reader, place, text, made_at=SystemClock().wall())
