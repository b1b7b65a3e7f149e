"""Following the trials of a study to their end: the phase of each that runs, why another waits, each end as it comes.

It waits on the engine's events and on inotify together, and wakes for nothing else. It decides nothing.
"""

from __future__ import annotations

import json
import os
import select
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from typing import Any

from passloop.apps.tune.report.standing import Standing
from passloop.apps.tune.report.stored import standing_of
from passloop.apps.tune.study import Study
from passloop.apps.tune.study_view import Trial
from passloop.cli import streams
from passloop.cli.client import Client, EngineStream
from passloop.cli.exits import CliError
from passloop.cli.lasting_reads import LastingReads
from passloop.cli.logfiles import attempt_folder, open_plain
from passloop.cli.tune_views import TrialLines, TrialView
from passloop.cli.wording import is_run_over
from passloop.store.inotify import CREATED, Watcher, watcher
from passloop.store.reader import Reader

__all__ = ["Following"]

PHASE = "phase.json"
MOST_PHASE = 4_096


class Following:
    """The trials of a study that one run adds to."""

    def __init__(self, client: Client, study: Study, *, run: int) -> None:
        self._client = client
        self._study = study
        self._run = run

    def to_the_end(self, events: EngineStream, reader: Reader) -> None:
        """Show the trials until no trial is to come and all are final."""
        with ExitStack() as stack:
            phases = _Phases(self._client.home, stack.enter_context(watcher()))
            view = stack.enter_context(_view())
            while True:
                standing = standing_of(reader, self._study, run=self._run)
                phases.watch(standing.trials)
                view.show(standing, self._doing(standing, phases))
                if self._is_over():
                    return
                _wait(events, phases)

    def _is_over(self) -> bool:
        return is_run_over(LastingReads(self._client).run(self._run)["run"])

    def _doing(self, standing: Standing, phases: _Phases) -> Mapping[int, str]:
        """What each trial that is not over does or waits for, by number."""
        found = {}
        for trial in standing.trials:
            if trial.state == "running":
                found[trial.number] = phases.of(trial)
            elif trial.state == "queued":
                found[trial.number] = self._blocker(trial)
        return found

    def _blocker(self, trial: Trial) -> str:
        """The first reason why a trial does not start."""
        try:
            blockers: list[Mapping[str, Any]] = self._client.get(f"/tasks/{trial.task}/why")["blockers"]
        except CliError:
            return ""
        return str(blockers[0]["sentence"]) if blockers else ""


class _Phases:
    """The phases of running trials, as their processes write them down."""

    def __init__(self, home: str, files: Watcher) -> None:
        self._home = home
        self.files = files
        self._watched: dict[tuple[int, int], int] = {}

    def watch(self, trials: Any) -> None:
        """Watch the folders of what runs, and no others."""
        running = {(trial.task, trial.attempt): trial for trial in trials if trial.state == "running"}
        for gone in self._watched.keys() - running.keys():
            self.files.remove(self._watched.pop(gone))
        for key in running.keys() - self._watched.keys():
            try:
                self._watched[key] = self.files.add(self._folder(running[key]), CREATED)
            except OSError:
                continue  # it is being made, or is gone again: an event of the engine comes

    def of(self, trial: Trial) -> str:
        """What a trial does: `measuring, point 2 of 3`; empty if it did not say."""
        try:
            with open_plain(os.path.join(self._folder(trial), PHASE)) as file:
                told = json.loads(file.read(MOST_PHASE))
        except (FileNotFoundError, ValueError):
            return "starting"
        return phase_text(told) if isinstance(told, dict) else ""

    def _folder(self, trial: Trial) -> str:
        return os.path.join(attempt_folder(self._home, trial.run, trial.task, trial.attempt), "out")


def phase_text(told: Mapping[str, Any]) -> str:
    """A phase in words."""
    text = str(told.get("phase") or "")
    if told.get("point") and told.get("points"):
        text += f", point {told['point']} of {told['points']}"
    return streams.clean(text)


def _view() -> TrialView:
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from passloop.cli.tune_live import LiveTrials

        return LiveTrials()
    return TrialLines()


def _wait(events: EngineStream, phases: _Phases) -> None:
    """Until the engine told something, or a phase changed."""
    sources: list[EngineStream | Watcher] = [events, phases.files]
    readable = [events] if events.pending else select.select(sources, [], [])[0]
    if phases.files in readable:
        phases.files.drain()
    if events in readable:
        events.ready()
