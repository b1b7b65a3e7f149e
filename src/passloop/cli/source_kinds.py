"""Which app a run is of, by its source: what report and export ask before they load anything of an app."""

from __future__ import annotations

from pathlib import Path

from passloop.store.home import Home
from passloop.store.reader import Reader

__all__ = ["kind_of_run"]


def kind_of_run(home: str, word: str) -> str | None:
    """The kind of the source of a run (an id, a name, `last`); None for a run without one, or no run."""
    path = Home(Path(home))
    if not path.database.exists():
        return None
    with Reader.open(path) as reader:
        found = next(iter(reader.runs(limit=1)), None) if word == "last" else reader.run(word.removeprefix("@"))
        return None if found is None or found.source is None else found.source.row.kind
