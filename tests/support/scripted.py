"""A driver without processes, and the outside world that outlives engines. For the tests of the engine.

`Outside` is what the operating system would hold: which attempts live, which left an exit record, which were begun at
all. It survives the engine, as processes do; `ScriptedDriver` is an engine's hand on it. It counts every start, so
that a test can tell whether anything ran twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from passloop.drivers.base import Fail, Launch, LiveAttempt, Report
from passloop.kernel.events import Exited, Started
from passloop.kernel.ids import AttemptId, TaskId
from passloop.kernel.tasks import Outcome, OutcomeKind

__all__ = ["Outside", "ScriptedDriver"]

SUCCESS = Outcome(kind=OutcomeKind.SUCCESS, exit_code=0)


@dataclass
class Outside:
    """Attempts as the operating system knows them. `starts` counts begun processes by attempt."""

    live: dict[AttemptId, Launch] = field(default_factory=dict)
    records: dict[AttemptId, Outcome] = field(default_factory=dict)
    tombs: set[AttemptId] = field(default_factory=set)
    starts: Counter[AttemptId] = field(default_factory=Counter)
    overlaps: list[TaskId] = field(default_factory=list)

    def begin(self, order: Launch) -> bool:
        """A process begins, unless its attempt id was begun or forbidden before."""
        if order.attempt in self.tombs or order.attempt in self.starts:
            return False
        if any(other.task == order.task for other in self.live.values()):
            self.overlaps.append(order.task)
        self.starts[order.attempt] += 1
        self.live[order.attempt] = order
        return True

    def end(self, attempt: AttemptId, outcome: Outcome = SUCCESS) -> None:
        """A process ends and leaves its exit record."""
        if self.live.pop(attempt, None) is not None:
            self.records[attempt] = outcome

    def attempt_of(self, task: int) -> AttemptId:
        """The live attempt of a task."""
        return next(attempt for attempt, order in self.live.items() if order.task == task)


class ScriptedDriver:
    """Starts at once and ends when told to. With `slow`, starts and ends are reported only by `say`."""

    name = "processes"

    def __init__(self, outside: Outside, *, slow: bool = False) -> None:
        self.outside = outside
        self.slow = slow
        self.calls: list[tuple[str, int]] = []
        self.unsaid: list[Started | Exited] = []
        self._report: Report | None = None
        self._epochs: dict[AttemptId, int] = {}

    async def start(self, report: Report, *, failed: Fail) -> None:
        self._report = report
        self.fail = failed

    async def stop(self) -> None:
        self._report = None

    def launch(self, order: Launch) -> None:
        self.calls.append(("launch", order.attempt))
        self._epochs[order.attempt] = order.epoch
        if self.outside.begin(order):
            self._say(Started(order.attempt, order.epoch, '{"pid":1,"ticks":1,"boot":""}'))
        else:
            self._say(Exited(order.attempt, order.epoch, Outcome(kind=OutcomeKind.CANCELLED)))

    def halt(self, attempt: AttemptId, epoch: int, *, grace: int, reason: str) -> None:
        self.calls.append((f"halt {reason}", attempt))
        if attempt not in self.outside.live:
            self.outside.tombs.add(attempt)
            return
        if reason == "down":
            self.finish(attempt, Outcome(kind=OutcomeKind.LOST, engine_lost=True))
        else:
            self.finish(attempt, Outcome(kind=OutcomeKind.CANCELLED, signal=15))

    async def reattach(self, attempts: Sequence[LiveAttempt]) -> None:
        for live in attempts:
            self.calls.append(("reattach", live.attempt))
            self._epochs[live.attempt] = live.epoch
            if live.attempt in self.outside.live:
                self._say(Started(live.attempt, live.epoch, live.process))
            elif live.attempt in self.outside.records:
                self._say(Exited(live.attempt, live.epoch, self.outside.records[live.attempt]))
            else:
                self.outside.tombs.add(live.attempt)
                self._say(Exited(live.attempt, live.epoch, Outcome(kind=OutcomeKind.LOST, engine_lost=True)))

    def statistics(self) -> Mapping[str, int]:
        return {"live": len(self.outside.live)}

    def finish(self, attempt: AttemptId, outcome: Outcome = SUCCESS) -> None:
        """The attempt's process ends and its end is reported."""
        self.outside.end(attempt, outcome)
        self._say(Exited(attempt, self._epochs[attempt], outcome))

    def finish_task(self, task: int, outcome: Outcome = SUCCESS) -> None:
        """As `finish`, by the task."""
        self.finish(self.outside.attempt_of(task), outcome)

    def say(self) -> None:
        """Report what was left unsaid, in order."""
        said, self.unsaid = self.unsaid, []
        for event in said:
            self._tell(event)

    def _say(self, event: Started | Exited) -> None:
        if self.slow:
            self.unsaid.append(event)
        else:
            self._tell(event)

    def _tell(self, event: Started | Exited) -> None:
        assert self._report is not None, "an event after the driver was stopped"
        self._report(event)
