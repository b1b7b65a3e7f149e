"""The live view on a terminal: a bar, counts by state, one lane per GPU, what is left. It reads and never decides."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from passloop.cli.progress import Progress
from passloop.cli.spans import span_text
from passloop.cli.wording import FINAL, STATE_COLOURS

__all__ = ["LiveView"]

_BETWEEN_LOOKS = 1.0
_MOST_LANES = 16


class LiveView:
    """Redraws in place when something changed; lines that stay go above it."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._live = Live(console=self._console, auto_refresh=False, transient=True)
        self._gpus: list[dict[str, Any]] = []
        self._next_look = 0.0

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """Draw how the tasks stand now."""
        if time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _BETWEEN_LOOKS
            self._gpus = progress.client.get("/gpus")["gpus"]
        self._live.update(Group(_head(progress), *self._lanes(progress)), refresh=True)

    def tell(self, line: str) -> None:
        """A line above the view."""
        self._live.console.print(Text(line))

    def _lanes(self, progress: Progress) -> list[Table]:
        if not self._gpus:
            return []
        lanes = Table.grid(padding=(0, 2))
        for gpu in self._gpus[:_MOST_LANES]:
            held = [f"{task} {_name(progress, task)}".strip() for task in gpu["holders"]]
            virtual = " (virtual)" if gpu.get("virtual") else ""
            lanes.add_row(f"gpu {gpu['index']}{virtual}", gpu["state"], Text(", ".join(held)))
        return [lanes]


def _name(progress: Progress, task: int) -> str:
    known = progress.tasks.get(task)
    return str(known.get("name") or "") if known else ""


def _head(progress: Progress) -> Group:
    counts = progress.counts
    done = sum(number for state, number in counts.items() if state in FINAL)
    bar = ProgressBar(total=max(1, len(progress.tasks)), completed=done, width=40)
    words = Text()
    for state, number in sorted(counts.items()):
        words.append(f"{number:,} {state}  ", style=STATE_COLOURS.get(state, ""))
    left = progress.left()
    passed = span_text(round((time.monotonic() - progress.started) * 1000))
    tail = f", about {span_text(left)} left" if left is not None else ""
    words.append(f"{passed} passed{tail}", style="dim")
    return Group(bar, words)
