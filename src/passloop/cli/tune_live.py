"""The live table of trials on a terminal. It reads and never decides; it redraws when something changed, and once a
second for the clock.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from passloop.apps.tune.report.lines import headings, trial_cells
from passloop.apps.tune.report.standing import Standing
from passloop.apps.tune.search.expander import budgets_of
from passloop.apps.tune.study_view import Trial
from passloop.cli.streams import clean, colour_wanted
from passloop.cli.tables import Column, fitted, table
from passloop.cli.tune_views import end_line
from passloop.clock import SystemClock

__all__ = ["LiveTrials"]

_SPARE = 4
_LEAST_ROWS = 3


class LiveTrials:
    """The table of trials, redrawn in place; failures are told above it as they come."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True, highlight=False, no_color=not colour_wanted(sys.stderr))
        self._clock = SystemClock()
        self._standing: Standing | None = None
        self._doing: Mapping[int, str] = {}
        self._told: set[int] | None = None
        self._live = Live(console=self._console, get_renderable=self._view, refresh_per_second=1, transient=True)

    def __enter__(self) -> LiveTrials:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, standing: Standing, doing: Mapping[int, str]) -> None:
        """Draw how the trials stand now."""
        failed = [trial for trial in standing.trials if trial.state in ("failed", "rejected")]
        if self._told is None:
            self._told = {trial.number for trial in failed}
        for trial in failed:
            if trial.number not in self._told:
                self._told.add(trial.number)
                self._live.console.print(Text(end_line(standing, trial)))
        self._standing, self._doing = standing, doing
        self._live.refresh()

    def _view(self) -> RenderableType:
        standing = self._standing
        if standing is None:
            return Text()
        now = self._clock.wall()
        room = max(_LEAST_ROWS, self._console.height - _SPARE)
        shown = _shown(standing, room)
        columns = [Column(each.text, right=each.right, shrinks=each.shrinks) for each in headings(standing)]
        rows = [trial_cells(standing, trial, note=self._doing.get(trial.number, ""), now=now) for trial in shown]
        width = self._console.width
        lines = table(
            columns,
            [[cell.text for cell in row] for row in rows],
            width=width,
            colours=[[cell.colour for cell in row] for row in rows],
        )
        left = len(standing.trials) - len(shown)
        counts = ", ".join(f"{count} {state}" for state, count in sorted(standing.counts.items()))
        head = f"{counts} of at most {budgets_of(standing.study).max_trials}" + (
            f"; the best and the last {len(shown)}" if left else ""
        )
        rows_shown = [Text.from_ansi(line, no_wrap=True, overflow="ellipsis") for line in lines]
        return Group(*rows_shown, Text(fitted(clean(head), width), style="dim"))


def _shown(standing: Standing, room: int) -> Sequence[Trial]:
    """The trials that the screen has room for: the last ones, and the best and the baseline whatever their number."""
    trials = standing.trials
    if len(trials) <= room:
        return trials
    kept = [trial for trial in (standing.baseline, standing.best) if trial is not None]
    last = trials[-max(1, room - len(kept)) :]
    return sorted({trial.number: trial for trial in (*kept, *last)}.values(), key=lambda trial: trial.number)
