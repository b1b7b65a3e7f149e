"""What `report` and `export` share: the report of the run that is meant, from the store, with an engine or without."""

from __future__ import annotations

from pathlib import Path

from passloop.apps.queue.gather import gather
from passloop.apps.queue.report import Report
from passloop.cli.exits import CliError, Exit
from passloop.clock import SystemClock
from passloop.store.errors import StoreMissing
from passloop.store.home import Home
from passloop.store.integrity import open_checked

__all__ = ["report_of"]


def report_of(home: str, text: str) -> Report:
    """The report of the run that `text` means: its id or name, with or without @, or `last`.

    Runs of the same sweep count as one. Raises `CliError` or what the store raises.
    """
    place = Home(Path(home))
    lacking = CliError(f"there are no runs in {home} yet", hint="passloop submit SPEC.yaml", exit_code=Exit.NOT_FOUND)
    if not place.path.exists():
        raise lacking
    place.check()
    try:
        opened = open_checked(place)
    except StoreMissing:
        raise lacking from None
    with opened as reader:
        return gather(reader, place, text, made_at=SystemClock().wall())
