"""Following one task until it is final: its attempts' output as it is written, its state as the engine says it.

It waits on the engine's event stream and on inotify together, wakes for nothing else, and decides nothing.
"""

from __future__ import annotations

import select
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from passloop.cli.client import Client, EngineStream
from passloop.cli.lasting_reads import LastingReads
from passloop.cli.logfiles import STREAMS, AttemptLogs, attempt_folder
from passloop.cli.wording import FINAL
from passloop.store.inotify import Watcher, watcher

__all__ = ["Follower", "Part", "exit_code_of", "follow_task"]

Write = Callable[[str, bytes], None]
_SOON = 1.0


@dataclass(frozen=True, slots=True)
class Part:
    """Which output: of which streams, from the attempt `first` to the attempt `last` (None: all that come), and of
    the first of them the last `lines` only (None: all).
    """

    streams: tuple[str, ...] = STREAMS
    first: int = 1
    last: int | None = None
    lines: int | None = None


def follow_task(
    client: Client,
    task: int,
    write: Write,
    *,
    part: Part = Part(),
    on_state: Callable[[dict[str, Any]], None] | None = None,
    on_wait: Callable[[], None] | None = None,
) -> dict[str, Any]:
    """Write a task's output until it is final and return it (the JSON shape of `show`).

    `on_state` is told the task each time its state is another, `on_wait` once if it has not started after a second.
    """
    with client.events() as events, watcher() as files:
        follower = Follower(client, task, files, write, part=part)
        follower.on_state, follower.on_wait = on_state, on_wait
        return follower.until_final(events)


class Follower:
    """One task and the attempt whose output is being written."""

    def __init__(
        self,
        client: Client,
        task: int,
        files: Watcher,
        write: Write,
        *,
        part: Part,
    ) -> None:
        self._client = client
        self._reads = LastingReads(client)
        self._id = task
        self._files = files
        self._write = write
        self._part = part
        self.on_state: Callable[[dict[str, Any]], None] | None = None
        self.on_wait: Callable[[], None] | None = None
        self._attempt = part.first
        self._logs: AttemptLogs | None = None
        self._task: dict[str, Any] = {}

    def until_final(self, events: EngineStream) -> dict[str, Any]:
        """Write until the task (or the one attempt that is followed) has ended."""
        self._refresh()
        while not self._finished():
            self._pump()
            self._wait(events)
        self._pump()
        self._close_logs()
        return self._task

    def _finished(self) -> bool:
        beyond = self._part.last is not None and self._task["attempt"] > self._part.last
        return self._task["state"] in FINAL or beyond

    def _wait(self, events: EngineStream) -> None:
        """Until the task changed or its files grew."""
        sources: list[EngineStream | Watcher] = [events, self._files]
        readable = [events] if events.pending else select.select(sources, [], [], self._patience())[0]
        if not readable and self.on_wait is not None:
            self.on_wait()
            self.on_wait = None
        if self._files in readable:
            self._files.drain()
        if events in readable and any(map(self._is_touched, events.ready())):
            self._refresh()

    def _is_touched(self, event: dict[str, Any]) -> bool:
        return "anew" in event or any(task["id"] == self._id for task in event.get("tasks", ()))

    def _patience(self) -> float | None:
        """Seconds until it is worth saying that the task has not started."""
        return _SOON if self.on_wait is not None and not self._task["attempt"] else None

    def _refresh(self) -> None:
        before = self._task.get("state")
        self._task = self._reads.task(self._id)["task"]
        if self.on_state is not None and self._task["state"] != before:
            self.on_state(self._task)

    def _pump(self) -> None:
        """Write what is there of every attempt up to the latest; an attempt before the latest has ended."""
        latest = self._task["attempt"] if self._part.last is None else min(self._task["attempt"], self._part.last)
        while self._attempt <= latest:
            self._logs_of_attempt().pump()
            if self._attempt == latest:
                return
            self._close_logs()
            self._attempt += 1

    def _logs_of_attempt(self) -> AttemptLogs:
        if self._logs is None:
            run = self._task["run"]["id"]
            folder = attempt_folder(self._client.home, run, self._id, self._attempt)
            self._logs = AttemptLogs(folder, self._files, self._write, streams=self._part.streams)
            if self._attempt == self._part.first and self._part.lines is not None:
                self._logs.skip_to_last(self._part.lines)
        return self._logs

    def _close_logs(self) -> None:
        if self._logs is not None:
            self._logs.close()
            self._logs = None


def exit_code_of(task: dict[str, Any]) -> int:
    """The exit code of a command that stands for this final task."""
    state, outcome = task["state"], task.get("outcome")
    if state == "succeeded":
        return 0
    if state == "rejected":
        return 7
    if state == "cancelled":
        return 130
    if outcome == "timeout":
        return 124
    return _failure_code(task)


def _failure_code(task: dict[str, Any]) -> int:
    attempts = task.get("attempts") or [{}]
    signal = attempts[-1].get("signal")
    if signal:
        return 128 + int(signal)
    code = task.get("exit_code")
    if code is None or code == 0:
        return 1
    return 128 - int(code) if code < 0 else int(code)
