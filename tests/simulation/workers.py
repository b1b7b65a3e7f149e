"""Warm workers as they really are: processes that stay between two tasks, and outlive the engines that gave them these.

A worker runs what is in its line, one after the other, whether an engine looks or not. Whoever asks about one lets it
first go on to now. Nothing here decides anything for the engine.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace

from passloop.clock import FakeClock
from passloop.drivers.base import Launch
from passloop.drivers.fake import Act, Play, begin
from passloop.kernel.events import Parked
from passloop.kernel.ids import MEMORY, AttemptId
from passloop.kernel.resources import Grant
from passloop.kernel.tasks import Outcome, OutcomeKind

__all__ = ["FAR", "UNTRIED", "Worker", "Workers"]

FAR = 1 << 60
"""When an attempt begins that waits in a worker's line, in ms: nobody knows yet."""
UNTRIED = Outcome(OutcomeKind.LOST, message="its worker ended before it began", engine_lost=True)
KILLED = Outcome(OutcomeKind.LOST, message="its worker was killed")
SPOILS = {OutcomeKind.TIMEOUT, OutcomeKind.CANCELLED, OutcomeKind.OUT_OF_MEMORY}
"""How an attempt ends that takes its worker with it."""


@dataclass(eq=False, slots=True)
class Worker:
    """One worker process, named after the attempt that started it. `line` are attempts it has, first to run first.

    `free_at` is when it could begin the next, `gone_at` when the last of it is gone, None while it lives (ms). `ran` =
    it has begun one: only then does it show up on its devices. `told` = it ends as it was told to. Memory in MiB.
    """

    id: AttemptId
    devices: tuple[Grant, ...]
    memory: int
    free_at: int
    line: list[AttemptId] = field(default_factory=list)
    gone_at: int | None = None
    ran: bool = False
    told: bool = False

    def parked(self) -> Parked | None:
        """What it holds while it lies, also when it was told to end and has yet to; None once it dies of a task."""
        return Parked(self.id, self.devices, self.memory) if self.gone_at is None or self.told else None


class Workers:
    """The workers of one home that are not gone. `of` says which one an attempt was given to.

    `too_late` are attempts that were called back when they had begun: those go on.
    """

    def __init__(self, clock: FakeClock, chance: random.Random, acts: dict[AttemptId, Act]) -> None:
        self.by_id: dict[AttemptId, Worker] = {}
        self.of: dict[AttemptId, Worker] = {}
        self.too_late: set[AttemptId] = set()
        self._clock = clock
        self._chance = chance
        self._acts = acts
        self._orders: dict[AttemptId, Launch] = {}
        self._keep: set[AttemptId] = set()

    def go_on(self) -> None:
        """Let each line get as far as it has by now; forget who is gone."""
        now = self._clock.now()
        for worker in list(self.by_id.values()):
            self._run(worker, now)
            if worker.gone_at is not None and worker.gone_at <= now:
                del self.by_id[worker.id]

    def living(self, worker: AttemptId | None) -> Worker | None:
        """The worker, unless it is dead or dies."""
        self.go_on()
        found = None if worker is None else self.by_id.get(worker)
        return found if found is not None and found.gone_at is None else None

    def new(self, order: Launch, play: Play) -> Worker:
        """A worker starts, with its first attempt."""
        now = self._clock.now()
        memory = dict(order.allocation.amounts).get(MEMORY, 0)
        worker = Worker(order.attempt, order.allocation.devices, memory, now + play.start_after)
        self.by_id[worker.id] = worker
        self.give(worker, order, play)
        return worker

    def give(self, worker: Worker, order: Launch, play: Play) -> None:
        """An attempt enters the worker's line. It is begun as soon as it is the first."""
        if not worker.line:
            worker.free_at = max(worker.free_at, self._clock.now())
        worker.line.append(order.attempt)
        self.of[order.attempt] = worker
        self._orders[order.attempt] = order
        self._acts[order.attempt] = Act(order.attempt, order.epoch, play, FAR, None, play.outcome)
        if self._chance.random() < 0.85:
            self._keep.add(order.attempt)
        self.go_on()

    def withdraw(self, attempt: AttemptId, outcome: Outcome) -> None:
        """An attempt that has not begun never will, and ended so."""
        worker = self.of[attempt]
        self._never(attempt, self._clock.now(), outcome)
        if attempt in worker.line:
            worker.line.remove(attempt)
        self.go_on()

    def halt(self, attempt: AttemptId, outcome: Outcome, *, grace: int) -> None:
        """The worker of an attempt that runs is told to end: at once, or after the grace if that is stubborn."""
        act, now = self._acts[attempt], self._clock.now()
        end = now + grace if act.play.stubborn else now
        if act.ends_at is None or end <= act.ends_at:
            act.ends_at, act.outcome = end, outcome
        self._keep.discard(attempt)
        self.go_on()

    def kill(self, worker: Worker) -> None:
        """What stands over a worker dies, and whatever it runs with it."""
        self.go_on()
        now = self._clock.now()
        if worker.gone_at is not None:
            return
        left_for = self._chance.choice([0, 0, 3_000])
        if worker.line:  # what is left of the worker is charged to the first
            attempt = worker.line.pop(0)
            act = self._acts[attempt]
            if self.has_begun(attempt):
                act.ends_at, act.outcome, left_for = now, KILLED, act.play.stray_for or 0
            else:
                self._never(attempt, now, UNTRIED, stray_for=left_for)
        self._die(worker, now, now + left_for)

    def end(self, worker: Worker, millis: int) -> None:
        """An idle worker is told to end, and is gone after so long."""
        if worker.gone_at is None:
            worker.told = True
            self._die(worker, self._clock.now(), self._clock.now() + millis)

    def has_begun(self, attempt: AttemptId) -> bool:
        """Whether an attempt runs or ran."""
        return self._acts[attempt].starts_at <= self._clock.now()

    def begins_at(self, worker: Worker) -> int | None:
        """When the first in the worker's line begins, if it has not yet."""
        return worker.free_at if worker.line and self._acts[worker.line[0]].starts_at == FAR else None

    def forget(self, attempt: AttemptId) -> None:
        """The end of an attempt is on record."""
        self.of.pop(attempt, None)
        self._orders.pop(attempt, None)
        self._keep.discard(attempt)

    def _run(self, worker: Worker, now: int) -> None:
        while worker.line and worker.gone_at is None and worker.free_at <= now:
            act = self._acts[worker.line[0]]
            if act.starts_at == FAR:
                self._begin(worker, act)
            if act.ends_at is None or act.ends_at > now:
                return
            worker.line.pop(0)
            worker.free_at = act.ends_at
            if act.attempt not in self._keep or act.outcome.kind in SPOILS:
                self._die(worker, act.ends_at, act.gone_at() or act.ends_at)
            else:
                act.play = replace(act.play, stray_for=0)  # whatever it left is the worker's

    def _begin(self, worker: Worker, act: Act) -> None:
        begun = begin(self._orders[act.attempt], act.play, worker.free_at)
        act.starts_at, act.ends_at, act.outcome = begun.starts_at, begun.ends_at, begun.outcome
        worker.ran = True

    def _die(self, worker: Worker, at: int, gone_at: int) -> None:
        """It dies, and what is in its line never begins."""
        worker.gone_at = gone_at
        for attempt in worker.line:
            self._never(attempt, at, UNTRIED)
        worker.line.clear()

    def _never(self, attempt: AttemptId, at: int, outcome: Outcome, *, stray_for: int = 0) -> None:
        act = self._acts[attempt]
        act.starts_at, act.ends_at, act.outcome = FAR, at, outcome
        act.play = replace(act.play, stray_for=stray_for)
