"""What runs for one home and outlives its engines, and the drivers that play it.

How each attempt goes is drawn when it is launched. Here stands the truth that the engine's record is held against:
nothing is launched twice, no task has two attempts that live, no device is given to two.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from passloop.clock import FakeClock
from passloop.drivers.base import Launch
from passloop.drivers.fake import Act, FakeDriver, FakeWorld, Play
from passloop.kernel.events import Event, Exited, PauseChanged
from passloop.kernel.ids import MEMORY, AttemptId
from passloop.kernel.resources import Allocation
from passloop.kernel.tasks import Outcome, OutcomeKind

from .devices import Devices, Occupant
from .endpoints import Endpoints
from .loop import Call, Killed, Life, SimulatedLoop
from .workers import FAR, Workers

__all__ = ["Driver", "Processes"]

ENDS = [
    *[OutcomeKind.SUCCESS] * 6, OutcomeKind.FAILURE, OutcomeKind.FAILURE, OutcomeKind.OUT_OF_MEMORY, OutcomeKind.LOST,
]  # fmt: skip
DURATIONS = (0, 1, 200, 3_000, 20_000, 90_000)
TORN = Outcome(OutcomeKind.LOST, message="its exit record is torn")
NO_ROOM = Outcome(OutcomeKind.LOST, message="no room for its folder", engine_lost=True)

MEMORY_MIB = 16_384
LONG = (20_000, 90_000)
QUICK = (0, 1, 5, 20)
"""How long (ms) quick attempts take: so short that they are claimed ahead."""

Descriptors = Callable[[Allocation], Sequence[int]]
Gone = Callable[[int], bool]
"""Whether somebody is gone at that time (ms)."""


class Processes(FakeWorld):
    """The attempts of home number `home`. `healthy` ones neither hang nor fail. Spans in ms."""

    def __init__(
        self, home: int, clock: FakeClock, chance: random.Random, devices: Devices, endpoints: Endpoints
    ) -> None:
        super().__init__(clock, script=self._play)
        self.home = home
        self.healthy = False
        self.launched = 0
        self.orders: dict[AttemptId, Launch] = {}
        self.descriptors: Descriptors = lambda _allocation: ()
        self.chance = chance
        self.workers = Workers(clock, chance, self.acts)
        self._devices = devices
        self._endpoints = endpoints
        self._once: set[AttemptId] = set()
        self._locks: list[tuple[Gone, list[int]]] = []

    def is_gone(self, attempt: AttemptId, now: int) -> bool:
        """Whether nothing of the attempt lives at `now`. The worker that ran it may."""
        act = self.act(attempt)
        at = None if act is None else act.gone_at()
        return act is None or (at is not None and at <= now)

    def act(self, attempt: AttemptId) -> Act | None:
        """The attempt as it is by now, if it was given to a driver and its end is not on record."""
        self.workers.go_on()
        return self.acts.get(attempt)

    def is_live(self, attempt: AttemptId) -> bool:
        """Whether its process runs, or it stands in a worker's line."""
        act = self.act(attempt)
        return act is not None and (act.ends_at is None or act.ends_at > self.clock.now())

    def was_turned_away(self, attempt: AttemptId) -> bool:
        """Whether its worker was dying when it came: it never begins, and ends when that is gone."""
        act = self.acts.get(attempt)
        return act is not None and act.starts_at == FAR and attempt not in self.workers.of

    def live(self) -> list[AttemptId]:
        """The attempts that run, by age."""
        return [attempt for attempt in self.acts if self.is_live(attempt)]

    def truth(self, attempt: AttemptId) -> OutcomeKind | None:
        """How the attempt ended or would end; None if it never was."""
        act = self.act(attempt)
        return None if act is None else act.outcome.kind

    def tear(self, attempt: AttemptId) -> None:
        """The exit record of an attempt that nobody has read yet cannot be read."""
        act = self.acts[attempt]
        if not act.ended:
            act.outcome = TORN

    def forget(self, attempt: AttemptId) -> None:
        """Its end is on record: it is not asked for again."""
        if self.is_gone(attempt, self.clock.now()):
            self.acts.pop(attempt, None)
            self.orders.pop(attempt, None)
            self.workers.forget(attempt)

    def kill(self, attempt: AttemptId) -> None:
        """What stands over the attempt dies, and its tree with it: of one on a worker the worker, and nothing of
        one that was turned away.
        """
        worker = self.workers.of.get(attempt)
        if worker is not None and attempt in worker.line:
            self.workers.kill(worker)
        elif worker is None and not self.was_turned_away(attempt):
            super().kill(attempt)

    def heal(self) -> None:
        """From now on all ends well: what would never end dies now, and what is left of the dead goes at last."""
        self.healthy = True
        self.workers.go_on()
        for attempt, act in list(self.acts.items()):
            if act.ends_at is None:
                self.kill(attempt)

    def reap(self) -> None:
        """What is gone holds no lock any more."""
        now = self.clock.now()
        self.workers.go_on()
        gone = [one for one in self._locks if one[0](now)]
        self._locks = [one for one in self._locks if one not in gone]
        for _, descriptors in gone:
            for descriptor in descriptors:
                os.close(descriptor)

    def end_all(self) -> None:
        """Let go of every lock, at the end of the history."""
        for _, descriptors in self._locks:
            for descriptor in descriptors:
                os.close(descriptor)
        self._locks.clear()

    def start_worker(self, order: Launch, play: Play) -> None:
        """A new worker begins on what its first attempt was given, and keeps that until it is gone."""
        self._enough_memory(order)
        worker = self.workers.new(order, play)
        self._occupy(
            order,
            lambda now: worker.gone_at is not None and worker.gone_at <= now,
            shows=lambda: worker.ran,
            stays=lambda: worker.gone_at is None,
        )

    def _play(self, order: Launch) -> Play:
        """An attempt begins. Raises AssertionError if it must not."""
        assert order.attempt not in self._once, f"attempt {order.attempt} is launched twice"
        now = self.clock.now()
        beside = [
            other for other, its in self.orders.items() if its.task == order.task and not self.is_gone(other, now)
        ]
        assert not beside, f"attempts {beside} and {order.attempt} of task {order.task} live at once"
        self._once.add(order.attempt)
        self.orders[order.attempt] = order
        self.launched += 1
        play = self._drawn(order)
        if order.warm_key is None:
            self._enough_memory(order)
            self._occupy(order, lambda now: self.is_gone(order.attempt, now))
        return play

    def _occupy(
        self,
        order: Launch,
        gone: Gone,
        *,
        shows: Callable[[], bool] = lambda: True,
        stays: Callable[[], bool] = lambda: False,
    ) -> None:
        now = self.clock.now()
        self.workers.go_on()
        for grant in order.allocation.devices:
            newcomer = Occupant(self.home, order.attempt, grant.share, now, gone, shows, stays)
            self._devices.occupy(grant.uuid, newcomer)
        self._locks.append((gone, [os.dup(one) for one in self.descriptors(order.allocation)]))

    def _enough_memory(self, order: Launch) -> None:
        """Whoever starts finds its memory free of all that is there. Raises AssertionError if not."""
        wanted, now = _memory_of(order), self.clock.now()
        if not wanted:
            return
        self.workers.go_on()
        others = sum(
            _memory_of(one)
            for one in self.orders.values()
            if one.warm_key is None and not self.is_gone(one.attempt, now)
        )
        others += wanted if order.warm_key is not None else 0
        lying = sum(worker.memory for worker in self.workers.by_id.values())
        assert others + lying <= MEMORY_MIB, f"attempt {order.attempt} makes it {others} MiB beside {lying} of workers"

    def _drawn(self, order: Launch) -> Play:
        refused = self._endpoints.refusal(order.allocation)
        if refused is not None:
            return Play(duration=self.chance.choice([20, 900]), outcome=refused)
        chance = self.chance
        durations = QUICK if order.payload.get("quick") else LONG if order.payload.get("long") else DURATIONS
        if self.healthy:
            return Play(duration=chance.choice(durations), outcome=self._success(order))
        kind = chance.choice(ENDS)
        outcome = self._success(order) if kind is OutcomeKind.SUCCESS else Outcome(kind, exit_code=1)
        if order.allocation.devices and chance.random() < 0.03:
            uuid = order.allocation.devices[0].uuid
            outcome = Outcome(OutcomeKind.DEVICE_FAULT, device=uuid, message="the device failed")
        return Play(
            duration=None if chance.random() < 0.06 else chance.choice(durations),
            outcome=outcome,
            start_after=chance.choice([0, 0, 50]),
            stubborn=chance.random() < 0.2,
            stray_for=chance.choice([0, 0, 0, 0, 3_000, 60_000]),
        )

    def _success(self, order: Launch) -> Outcome:
        return Outcome(OutcomeKind.SUCCESS, exit_code=0, used=self._endpoints.used(order.allocation))


def _memory_of(order: Launch) -> int:
    return dict(order.allocation.amounts).get(MEMORY, 0)


class Driver(FakeDriver):
    """Plays the attempts of one engine's life and wakes by itself when something happens to them.

    With `no_room` no attempt can begin: there is no room for its folder.
    """

    def __init__(self, world: Processes, life: Life, loop: SimulatedLoop, *, name: str = "processes") -> None:
        super().__init__(world, name=name)
        self.no_room: Callable[[], bool] = bool
        self._life = life
        self._loop = loop
        self._timer: Call | None = None
        self._at: int | None = None

    def launch(self, order: Launch) -> None:
        """Let the attempt begin."""
        self._must_live()
        if self.no_room():
            self._tell(PauseChanged(paused=True, reason="disk full: the folder of runs"))
            self._tell(Exited(order.attempt, order.epoch, NO_ROOM))
            return
        try:
            super().launch(order)
        except AssertionError as broken:
            self._loop.failure = self._loop.failure or broken  # a task that nobody awaits would keep it to itself
            raise

    def halt(self, attempt: AttemptId, epoch: int, *, grace: int, reason: str) -> None:
        """End the attempt, or forbid its start."""
        self._must_live()
        super().halt(attempt, epoch, grace=grace, reason=reason)

    def _tell(self, event: Event) -> None:
        """Who stood over an attempt has measured how long it ran."""
        act = self._world.acts.get(event.attempt) if isinstance(event, Exited) else None
        if isinstance(event, Exited) and act is not None and act.ends_at is not None and act.starts_at <= act.ends_at:
            event = replace(event, outcome=replace(event.outcome, ran=act.ends_at - act.starts_at))
        super()._tell(event)

    def catch_up(self) -> None:
        """Report what has happened, and be back when something happens next."""
        if self._life.dead or self._report is None:
            return
        self._tell_what_happened()
        at = self._next()
        if at == self._at:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._at, self._timer = at, None
        if at is not None:
            self._timer = self._loop.call_after(at - self._loop.clock.now(), self._ring)

    def _tell_what_happened(self) -> None:
        super().catch_up()

    def _ring(self) -> None:
        self._at = None
        self.catch_up()

    def _next(self) -> int | None:
        """When something happens next to what is watched; something may have died before that."""
        times = [at for act in self._acts() if (at := _next_of(act)) is not None]
        return min(times, default=None)

    def _must_live(self) -> None:
        if self._life.dead:
            raise Killed


def _next_of(act: Act) -> int | None:
    if not act.started:
        return act.starts_at if act.ends_at is None else min(act.starts_at, act.ends_at)
    return act.gone_at() if act.ended else act.ends_at
