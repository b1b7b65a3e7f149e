"""Watching many tasks to their end: a live view on a terminal, plain lines elsewhere. Driven by the engine's events."""

from __future__ import annotations

import os
import select
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Protocol

from passloop.cli import streams
from passloop.cli.client import Client, EngineStream
from passloop.cli.lasting_reads import LastingReads
from passloop.cli.reads import Ask
from passloop.cli.spans import span_text, task_span
from passloop.cli.wording import FINAL, counted, ids_text, result_text

__all__ = ["Progress", "View", "failure_lines", "plain_line", "watch_tasks"]

_BETWEEN_LINES = 5.0
_QUIET = 60.0
"""After so many seconds without any news a plain line says that all is as it was."""
_FAILURES_TOLD = 20
_WORDS_TOLD = 3


class View(Protocol):
    """Something that shows progress."""

    @property
    def quiet(self) -> float | None:
        """After how many seconds without news it wants to show it again; None: it sees to that itself."""
        ...

    def __enter__(self) -> View: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, progress: Progress) -> None:
        """Something changed."""
        ...

    def tell(self, line: str) -> None:
        """A line that stays."""
        ...


class Progress:
    """How a set of tasks stands. Kept up to date from events; asks the engine for what events do not say."""

    def __init__(self, client: Client, tasks: Iterable[int]) -> None:
        self.client = client
        self._reads = LastingReads(client)
        self.words = tuple(ids_text(tasks).split())
        self.tasks = {task["id"]: task for task in self.read(self.words)}
        self.started = time.monotonic()
        self._learned = self._learned_mean()

    @property
    def counts(self) -> Counter[str]:
        """Tasks by state."""
        return Counter(task["state"] for task in self.tasks.values())

    @property
    def ended(self) -> bool:
        """Whether every task is final."""
        return all(task["state"] in FINAL for task in self.tasks.values())

    def take(self, events: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
        """Follow events; returns the tasks that have ended with them, in full."""
        final: set[int] = set()
        for event in events:
            if "anew" in event:
                return self._look_again()
            for seen in event.get("tasks", ()):
                if seen["id"] in self.tasks:
                    self.tasks[seen["id"]]["state"] = seen["state"]
                    (final.add if seen["state"] in FINAL else final.discard)(seen["id"])
        ended = self.read(ids_text(final).split()) if final else []
        self.tasks.update({task["id"]: task for task in ended})
        return ended

    def _look_again(self) -> list[dict[str, Any]]:
        """After events may have been missed: all that had not ended; returns those that have."""
        found = self.read(ids_text(task for task, one in self.tasks.items() if one["state"] not in FINAL).split())
        self.tasks.update({task["id"]: task for task in found})
        return [task for task in found if task["state"] in FINAL]

    def left(self) -> int | None:
        """Milliseconds until all have ended, by what these took, else what their class took; None if unknown."""
        spans = [span for task in self.tasks.values() if task["state"] == "succeeded" and (span := task_span(task))]
        counts = self.counts
        open_tasks = sum(number for state, number in counts.items() if state not in FINAL)
        at_once = counts["running"] + counts["admitted"]
        mean = sum(spans) / len(spans) if spans else self._learned
        return None if mean is None or not at_once else round(mean * open_tasks / at_once)

    def _learned_mean(self) -> int | None:
        """What tasks of this class took so far, in ms; that of the first stands for all."""
        from passloop.store.estimates import learned_means
        from passloop.store.home import Home

        if not self.tasks:
            return None
        shown = self._reads.task(min(self.tasks))["task"]
        return learned_means(Home(Path(self.client.home))).get(shown["task_class"])

    def read(self, words: Iterable[str]) -> list[dict[str, Any]]:
        """The tasks that these selectors name, in full."""
        chosen = list(words)
        found: list[dict[str, Any]] = []
        for at in range(0, len(chosen), 500):
            found += self._reads.tasks(Ask(tuple(chosen[at : at + 500])))["tasks"]
        return found


def watch_tasks(client: Client, tasks: Iterable[int]) -> list[dict[str, Any]]:
    """Show progress until all tasks are final, then the summary; returns the tasks."""
    with client.events() as events:
        return watch(Progress(client, tasks), events)


def watch(
    progress: Progress,
    events: EngineStream,
    *,
    on_ended: Callable[[list[dict[str, Any]]], None] = lambda _ended: None,
) -> list[dict[str, Any]]:
    """The same of tasks that somebody else chose; `on_ended` is told them as they end (often none)."""
    with _view() as view:
        failures = _Failures(view)
        failures.tell(task for task in progress.tasks.values() if task["state"] in FINAL)
        view.show(progress)
        while not progress.ended:
            ended = progress.take(_news(events, view.quiet))
            failures.tell(ended)
            on_ended(ended)
            view.show(progress)
    for line in _summary(progress, failures.left_out):
        streams.say(line)
    return list(progress.tasks.values())


def _news(events: EngineStream, quiet: float | None) -> list[dict[str, Any]]:
    """The next events; none if there were none for `quiet` seconds."""
    if quiet is not None and not events.pending and not select.select([events], [], [], quiet)[0]:
        return []
    return events.ready()


def failure_lines(tasks: Iterable[dict[str, Any]]) -> list[str]:
    """One line for each of the first tasks that have ended and not succeeded, and how many more there are."""
    failed = [task for task in tasks if task["state"] in FINAL and task["state"] != "succeeded"]
    lines = [_failure_line(task) for task in failed[:_FAILURES_TOLD]]
    return lines + _left_out(len(failed) - len(lines))


class _Failures:
    """Tells failures as they come, the first of them one by one."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._told = 0
        self.left_out = 0

    def tell(self, tasks: Iterable[dict[str, Any]]) -> None:
        """Tell those that did not succeed."""
        for task in tasks:
            if task["state"] in ("succeeded", "cancelled"):
                continue
            if self._told >= _FAILURES_TOLD:
                self.left_out += 1
                continue
            self._told += 1
            self._view.tell(_failure_line(task))


class _Lines:
    """Plain lines: at most one in five seconds, at least one a minute."""

    def __init__(self) -> None:
        self.quiet = _QUIET
        self._next = 0.0

    def __enter__(self) -> _Lines:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left on the screen."""

    def show(self, progress: Progress) -> None:
        """A line, if the last one is old enough."""
        now = time.monotonic()
        if now >= self._next and not progress.ended:
            self._next = now + _BETWEEN_LINES
            streams.say(plain_line(progress))

    def tell(self, line: str) -> None:
        """A line of its own."""
        streams.say(line)


def plain_line(progress: Progress) -> str:
    """Counts by state and, if known, how long it may take."""
    counts = ", ".join(f"{number:,} {state}" for state, number in sorted(progress.counts.items()))
    left = progress.left()
    return counts + (f"; about {span_text(left)} left" if left is not None and not progress.ended else "")


def _view() -> View:
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from passloop.cli.live import LiveView

        return LiveView()
    return _Lines()


def _failure_line(task: dict[str, Any]) -> str:
    said = str(task.get("message") or "")
    own_words = task.get("outcome") == "failure" and not said.startswith("exit code")
    end = (said if own_words else "") or result_text(task) or said
    name = streams.clean(task.get("name") or "")
    look = "logs" if task.get("attempt") else "show"
    return f"task {task['id']} {name} {task['state']}: {streams.clean(end)}  (passloop {look} {task['id']})"


def _left_out(number: int) -> list[str]:
    return [f"... and {counted(number, 'failure')} more"] if number else []


def _summary(progress: Progress, left_out: int) -> list[str]:
    lines = _left_out(left_out)
    took = span_text(round((time.monotonic() - progress.started) * 1000))
    lines.append(f"{counted(len(progress.tasks), 'task')} in {took}: {plain_line(progress)}")
    failed = progress.counts["failed"]
    if failed:
        lines.append("again: passloop retry --failed " + " ".join(_short(progress)))
    return lines


def _short(progress: Progress) -> list[str]:
    """Words that mean all these tasks, and few; with --failed those of the same runs may be among them."""
    if len(progress.words) <= _WORDS_TOLD:
        return list(progress.words)
    runs = sorted({int(task["run"]["id"]) for task in progress.tasks.values()})
    return [f"@{run}" for run in runs] if len(runs) <= _WORDS_TOLD else [f"{min(progress.tasks)}-{max(progress.tasks)}"]
