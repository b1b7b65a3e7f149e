"""What tasks took so far, for estimates that people are shown. Read only; the kernel learns from its own copy."""

from __future__ import annotations

from contextlib import closing

from .connection import open_reading, translated
from .home import Home
from .sql import statement

__all__ = ["learned_means"]


def learned_means(home: Home) -> dict[str, int]:
    """Mean run times in ms by task class and by program; a class's own goes before a program's of the same name."""
    if not home.database.exists():
        return {}
    with translated(home.database), closing(open_reading(home.database)) as connection:
        rows = [(str(name), int(str(millis))) for name, millis in connection.execute(statement("mean_durations"))]
    return {name: millis for name, millis in reversed(rows) if name}
