"""Trials as they are shown while they run, off a terminal: a line for each that starts and each that ends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from passloop.apps.tune.report.document import objective_name
from passloop.apps.tune.report.lines import params_text, why_not
from passloop.apps.tune.report.standing import Standing
from passloop.apps.tune.report.units import figure_text
from passloop.apps.tune.study_view import Trial
from passloop.cli import streams

__all__ = ["TrialLines", "TrialView", "end_line"]


class TrialView(Protocol):
    """Something that shows trials."""

    def __enter__(self) -> TrialView: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, standing: Standing, doing: Mapping[int, str]) -> None:
        """Something changed; `doing` is what those do that are not over, by number."""
        ...


class TrialLines:
    """Plain lines: one when a trial starts, one when it ends."""

    def __init__(self) -> None:
        self._told: dict[int, str] = {}

    def __enter__(self) -> TrialLines:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left on the screen."""

    def show(self, standing: Standing, doing: Mapping[int, str]) -> None:
        """Tell what is new."""
        begins = not self._told
        for trial in standing.trials:
            state = standing.state_of(trial)
            before = self._told.get(trial.number)
            self._told[trial.number] = state
            if before == state or (begins and trial.is_final):
                continue
            if trial.is_final:
                streams.say(end_line(standing, trial))
            elif state == "running":
                streams.say(f"trial {trial.number} started: {_params(trial)}")


def end_line(standing: Standing, trial: Trial) -> str:
    """How a trial ended, in one line."""
    values = [
        f"{objective_name(each)} {figure_text(each.metric, value)}"
        for each in standing.aims.objectives
        if (value := standing.value(trial, each)) is not None
    ]
    said = why_not(standing, trial)
    best = ["the best so far"] if standing.best is trial else []
    rest = "; ".join([*values, *best, *([said] if said else [])])
    return streams.clean(f"trial {trial.number} {standing.state_of(trial)}: {rest or _params(trial)}")


def _params(trial: Trial) -> str:
    return streams.clean(params_text(trial))
