"""A driver that executes nothing: a script says how long each attempt would take and how it would end.

Shipped for tests and simulation; it passes the same contract suite as the real drivers. Time is the fake clock's:
whoever moves the clock calls `catch_up` next. The `FakeWorld` is what outlives an engine (processes, records), so a
second driver on the same world reattaches like after a crash. Must never read real time nor start a process.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from passloop.clock import FakeClock
from passloop.kernel.events import Event, Exited, Started, StartRefused, StrayGone
from passloop.kernel.ids import AttemptId
from passloop.kernel.tasks import Outcome, OutcomeKind

from .background import to_the_loop
from .base import Fail, Launch, LiveAttempt, Report
from .forbidden import Forbidden

__all__ = ["Act", "FakeDriver", "FakeWorld", "Play", "begin", "outcome_of_halt"]

_SUCCESS = Outcome(OutcomeKind.SUCCESS, exit_code=0)
_HALTED = {"timeout": OutcomeKind.TIMEOUT, "down": OutcomeKind.LOST, "recall": OutcomeKind.LOST}


@dataclass(frozen=True, slots=True)
class Play:
    """How one attempt would go. Spans in ms.

    `duration` None means it never ends by itself. A `stubborn` one ends only when its grace is over. `stray_for`
    is how long something of it lives on after its end (0 nothing, None for ever). `refusal` refuses the start.
    """

    duration: int | None = 0
    outcome: Outcome = _SUCCESS
    start_after: int = 0
    stubborn: bool = False
    stray_for: int | None = 0
    refusal: str = ""


@dataclass(slots=True)
class Act:
    """One attempt in the world. Times are the clock's, in ms; `ends_at` None means not by itself."""

    attempt: AttemptId
    epoch: int
    play: Play
    starts_at: int
    ends_at: int | None
    outcome: Outcome
    started: bool = False
    ended: bool = False
    gone: bool = False

    def gone_at(self) -> int | None:
        """When the last of it is gone."""
        if self.ends_at is None or self.play.stray_for is None:
            return None
        return self.ends_at + self.play.stray_for


@dataclass(slots=True)
class FakeWorld:
    """What lives outside the engine: attempts that run, their records, tombstones."""

    clock: FakeClock
    script: Callable[[Launch], Play] = lambda _launch: Play()
    acts: dict[AttemptId, Act] = field(default_factory=dict)
    tombstones: set[AttemptId] = field(default_factory=set)

    def kill(self, attempt: AttemptId) -> None:
        """What stands over the attempt dies, and its tree with it."""
        act = self.acts[attempt]
        if not act.ended:
            act.ends_at = self.clock.now()
            act.outcome = Outcome(OutcomeKind.LOST, message="the process that stood over it was killed")

    def next_change(self) -> int | None:
        """When something happens next by itself, in the clock's ms; None = nothing will."""
        times = [at for act in self.acts.values() if (at := _due(act)) is not None]
        return min(times, default=None)


class FakeDriver:
    """Plays the attempts of a `FakeWorld` and reports on them when told to `catch_up`."""

    def __init__(self, world: FakeWorld, *, name: str = "processes") -> None:
        self.name = name
        self._world = world
        self._report: Report | None = None
        self._watched: set[AttemptId] = set()
        self._forbidden = Forbidden()
        self._launched = 0

    async def start(self, report: Report, *, failed: Fail = to_the_loop) -> None:
        """Report to `report` from now on. There is no work of its own that could fail unheard."""
        self._report = report

    async def stop(self) -> None:
        """Report no more; the world goes on."""
        self._report = None
        self._watched.clear()

    def launch(self, order: Launch) -> None:
        """Let the attempt begin as its script says."""
        forbidden = self._forbidden.outcome(order.attempt)
        if forbidden is None and order.attempt in self._world.tombstones:
            forbidden = Outcome(OutcomeKind.CANCELLED, message="stopped before it started")
        if forbidden is not None:
            self._tell(Exited(order.attempt, order.epoch, forbidden))
            return
        play = self._world.script(order)
        if play.refusal:
            self._tell(StartRefused(order.attempt, order.epoch, reason=play.refusal))
            return
        self._launched += 1
        self._enter(order, play)
        self._watched.add(order.attempt)
        self.catch_up()

    def halt(self, attempt: AttemptId, epoch: int, *, grace: int, reason: str) -> None:
        """End the attempt: at once, or after `grace` if it is stubborn. What was not launched never will be."""
        act = self._world.acts.get(attempt)
        if act is None or attempt not in self._watched:
            self._forbidden.add(attempt, reason)
            return
        if act.ended:
            return
        now = self._world.clock.now()
        end = now + grace if act.play.stubborn and act.started else now
        if act.ends_at is None or end <= act.ends_at:
            act.ends_at, act.outcome = end, outcome_of_halt(reason)
        self.catch_up()

    async def reattach(self, attempts: Sequence[LiveAttempt]) -> None:
        """Take up what of `attempts` the world knows; tombstone and report lost what it does not."""
        for live in attempts:
            act = self._world.acts.get(live.attempt)
            if act is None:
                self._world.tombstones.add(live.attempt)
                outcome = Outcome(OutcomeKind.LOST, message="never started", engine_lost=True)
                self._tell(Exited(live.attempt, live.epoch, outcome))
            else:
                act.started = live.state != "admitted"
                act.ended = live.state == "stray"
                act.gone = False
                self._watched.add(live.attempt)
        self.catch_up()

    def statistics(self) -> Mapping[str, int]:
        """How many attempts were launched and how many are watched."""
        return {"launched": self._launched, "watched": len(self._watched)}

    def catch_up(self) -> None:
        """Report everything that has happened by the clock's now, in the order it happened."""
        while self._report is not None:
            due = [(at, act.attempt) for act in self._acts() if (at := _due(act)) is not None]
            if not due or min(due)[0] > self._world.clock.now():
                return
            self._happen(self._world.acts[min(due)[1]])

    def _enter(self, order: Launch, play: Play) -> None:
        """The attempt is in the world from now on."""
        self._world.acts[order.attempt] = begin(order, play, self._world.clock.now() + play.start_after)

    def _acts(self) -> list[Act]:
        return [self._world.acts[attempt] for attempt in self._watched]

    def _happen(self, act: Act) -> None:
        if not act.started:
            act.started = True
            self._tell(Started(act.attempt, act.epoch, f'{{"pid": {act.attempt}}}'))
        elif not act.ended:
            act.ended = True
            stray = act.play.stray_for != 0
            act.gone = not stray
            self._tell(Exited(act.attempt, act.epoch, act.outcome, stray))
        else:
            act.gone = True
            self._tell(StrayGone(act.attempt, act.epoch))
        if act.gone:
            self._watched.discard(act.attempt)

    def _tell(self, event: Event) -> None:
        if self._report is not None:
            self._report(event)


def outcome_of_halt(reason: str) -> Outcome:
    """How an attempt ends that is halted for this reason."""
    kind = _HALTED.get(reason, OutcomeKind.CANCELLED)
    return Outcome(kind, message=f"stopped: {reason}", engine_lost=kind is OutcomeKind.LOST)


def begin(order: Launch, play: Play, starts_at: int) -> Act:
    """An attempt that starts then (the clock's ms), and ends as its play and its time limit say."""
    act = Act(order.attempt, order.epoch, play, starts_at, None, play.outcome)
    limit = order.time_limit
    if play.duration is not None:
        act.ends_at = starts_at + play.duration
    if limit is not None and (play.duration is None or play.duration > limit):
        act.ends_at = starts_at + limit + (order.grace if play.stubborn else 0)
        act.outcome = replace(_SUCCESS, kind=OutcomeKind.TIMEOUT, exit_code=None)
    return act


def _due(act: Act) -> int | None:
    """When the next thing happens to an attempt."""
    if act.gone:
        return None
    if not act.started:
        return act.starts_at if act.ends_at is None else min(act.starts_at, act.ends_at)
    return act.gone_at() if act.ended else act.ends_at
