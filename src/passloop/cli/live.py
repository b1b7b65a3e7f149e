"""The live view on a terminal: a bar, counts by state, one lane per GPU, what is left. It reads and never decides.

What it shows changes by events; once a second only the clock goes on, and a look at the GPUs that came too soon after
the last one is made up for.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from passloop.cli.client import Client
from passloop.cli.exits import CliError
from passloop.cli.progress import Progress
from passloop.cli.spans import span_text
from passloop.cli.streams import clean, colour_wanted
from passloop.cli.tables import fitted
from passloop.cli.wording import FINAL, STATE_COLOURS

__all__ = ["LiveView"]

_BETWEEN_LOOKS = 1.0
_MOST_LANES = 16
_BAR = 40
_LEAST_BAR = 8


class LiveView:
    """Redraws in place when something changed, and each second for the clock; lines that stay go above it."""

    quiet = None

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, no_color=not colour_wanted(sys.stderr))
        self._progress: Progress | None = None
        self._head = _Head()
        self._gpus: list[dict[str, Any]] = []
        self._names: dict[int, str] = {}
        self._next_look = 0.0
        self._seen = True
        self._live = Live(console=self._console, get_renderable=self._view, refresh_per_second=1, transient=True)

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, progress: Progress) -> None:
        """Draw how the tasks stand now."""
        self._progress, self._seen = progress, False
        self._head = _Head(progress.counts, len(progress.tasks), progress.left(), progress.started)
        self._live.refresh()

    def tell(self, line: str) -> None:
        """A line above the view."""
        self._live.console.print(Text(line))

    def _view(self) -> RenderableType:
        if self._progress is None:
            return Text()
        if not self._seen and time.monotonic() >= self._next_look:
            self._look(self._progress)
        return Group(self._head, *self._lanes())

    def _look(self, progress: Progress) -> None:
        """Who holds which GPU. An engine that has gone is told by the events, not here."""
        self._next_look = time.monotonic() + _BETWEEN_LOOKS
        self._seen = True
        with suppress(CliError):
            self._gpus = Client(progress.client.home).get("/gpus", timeout=_BETWEEN_LOOKS)["gpus"]
        held = {task for gpu in self._gpus for task in gpu["holders"]}
        self._names = {task: str((progress.tasks.get(task) or {}).get("name") or "") for task in held}

    def _lanes(self) -> list[Text]:
        shown = self._gpus[:_MOST_LANES]
        labels = [f"gpu {gpu['index']}" + (" (virtual)" if gpu.get("virtual") else "") for gpu in shown]
        ends = (max(map(len, labels), default=0), max((len(gpu["state"]) for gpu in shown), default=0))
        lanes = []
        for label, gpu in zip(labels, shown, strict=True):
            held = ", ".join(f"{task} {clean(self._names.get(task, ''))}".strip() for task in gpu["holders"])
            line = f"{label:<{ends[0]}}  {gpu['state']:<{ends[1]}}  {held}".rstrip()
            lanes.append(Text(fitted(line, self._console.width)))
        return lanes


@dataclass(frozen=True, slots=True)
class _Head:
    """The line above the lanes: the bar where there is room for one, then counts, time passed and time left.

    `left` is in ms as it was at `at`, `started` and `at` in seconds of the monotonic clock.
    """

    counts: Counter[str] = field(default_factory=Counter)
    total: int = 0
    left: int | None = None
    started: float = 0.0
    at: float = field(default_factory=time.monotonic)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        words = self._words(time.monotonic())
        room = options.max_width - words.cell_len - 2
        if room < _LEAST_BAR:
            yield words
            return
        done = sum(number for state, number in self.counts.items() if state in FINAL)
        line = Table.grid(padding=(0, 2))
        bar = ProgressBar(
            total=max(1, self.total),
            completed=done,
            width=min(_BAR, room),
            style="dim",
            complete_style="green",
            finished_style="green",
        )
        line.add_row(bar, words)
        yield line

    def _words(self, now: float) -> Text:
        words = Text()
        for state, number in sorted(self.counts.items()):
            words.append(f"{number:,} {state}  ", style=STATE_COLOURS.get(state, ""))
        left = None if self.left is None else max(0, self.left - round((now - self.at) * 1000))
        tail = f", about {span_text(left)} left" if left else ""
        words.append(f"{span_text(round((now - self.started) * 1000))} passed{tail}", style="dim")
        return words
