"""Endless load: small tasks come for as long as a history lasts, and whoever waits beside them must get through.

They take devices, CPUs, places of limits or what a rate gives, in one group or in some that are inside each other.
One at a time somebody waits for more of what the small ones take, or for as much in a group that has waited least. The
judge reckons by itself by when that task must have started, from what `docs/design/admission.md` promises: those who
came before it, its patience, and one run of those who hold what it lacks. It asks the machine nothing. Engines die
and endpoints refuse meanwhile: the first time is given to all, the second to those alone who ask that endpoint.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from passloop.kernel.changes import SubmitAnswer
from passloop.kernel.cooldowns import COOLDOWN_MOST
from passloop.kernel.events import Submitted
from passloop.kernel.ids import TaskId
from passloop.kernel.resources import Variant
from passloop.kernel.tasks import FINAL_STATES, NewTask, TaskSpec, TaskState
from tests.support.builders import ask, spec_of

from .actions import send
from .endpoints import POOLS
from .homes import SimulatedHome
from .processes import LONG

__all__ = ["Load"]

LONGEST = max(LONG)
LIMIT = 100_000
HOUR = 3_600_000
LATE = 20_000
"""What looks at devices, commits and the start of an engine may take in all, in ms."""
LEARNED = 10
"""From so many successes on it is known how long they run."""
QUEUED = {TaskState.READY, TaskState.WAITING, TaskState.BACKOFF, TaskState.HELD}
RUNS_LONG = '{"long": true}'
GAPS = (500, 2_000, 8_000)
DOWN = (0, 50, 5_000, 60_000)


TROUBLES = (500, 5_000, 60_000)
"""How long (ms) an endpoint refuses."""
TROUBLE = 0.02
"""How often it begins to, where it does at all."""


class Crowd(NamedTuple):
    """Small tasks, how many of them start at least within a run of the longest, what is larger beside them, and which
    endpoints they call.
    """

    small: Variant
    width: int
    large: tuple[Variant, ...]
    calls: tuple[str, ...] = ()


class Groups(NamedTuple):
    """Where the small tasks are, and who waits beside them."""

    crowd: tuple[str, ...]
    one: str


CROWDS = (
    Crowd(ask(gpus=1), 4, (ask(gpus=2), ask(gpus=3), ask(gpus=4))),
    Crowd(ask(share=0.5), 8, (ask(gpus=1), ask(gpus=4))),
    Crowd(ask(cpus=2), 3, (ask(cpus=5), ask(cpus=6))),
    Crowd(ask(gpus=1, cpus=1), 4, (ask(gpus=3, cpus=1), ask(gpus=4, cpus=6))),
    Crowd(ask(chat=1), 3, (ask(chat=2), ask(chat=3), ask(provider=3), ask(code=2)), ("chat", "provider")),
    Crowd(ask(provider=1), 4, (ask(chat=3), ask(code=1), ask(provider=4)), ("chat", "provider")),
    Crowd(ask(tokens=16), 4, (ask(tokens=64), ask(tokens=90))),
    Crowd(ask(chat=1, tokens=8), 3, (ask(tokens=80), ask(chat=2, tokens=40), ask(provider=4)), ("chat", "provider")),
)
SAME = (Groups(("default",), "default"), Groups(("team/day",), "team/day"))
OTHERS = (
    Groups(("default",), "night"),
    Groups(("team/day",), "team/night"),
    Groups(("team/day", "team/late"), "night"),
    Groups(("default", "team/day"), "team/night"),
    Groups(("team",), "team/night"),
    Groups(("team/night",), "team"),
)
PARENTS = {str(pool.name): str(pool.parent) for pool in POOLS if pool.parent is not None}


def patience_promised(*, given: int | None, limited: bool, finished: int) -> int:
    """How long (ms) a head may wait before the devices that free are kept for it."""
    if given is not None:
        return given
    if limited:
        return 0
    return 2 * LONGEST if finished >= LEARNED else HOUR


def is_asked(name: str, variant: Variant) -> bool:
    """Whether this endpoint, or one inside it, is asked."""
    asked = {str(pool) for pool, _ in variant.amounts}
    return name in asked | {PARENTS[pool] for pool in asked if pool in PARENTS}


class Load:
    """The load on one home, and the one that waits beside it. `through` is how many got through."""

    def __init__(self, home: SimulatedHome, chance: random.Random) -> None:
        self.home, self.chance = home, chance
        self.crowd: Crowd = chance.choice(CROWDS)
        self.limited = chance.random() < 0.3
        self.others = chance.random() < 0.4
        self.groups: Groups = chance.choice(OTHERS if self.others else SAME)
        self.backlog = 60 if self.others else 12
        self.priority = 0 if self.others else chance.choice([0, 0, -1])
        self.troubled = bool(self.crowd.calls) and chance.random() < 0.5
        self.through = 0
        self._width = self.crowd.width
        self._sent = 0
        self._waiting: TaskId | None = None
        self._variant = self.crowd.small
        self._given: int | None = None
        self._asked = False
        self._until = 0
        self._refused: TaskId | None = None
        self._closed: dict[str, int] = {}

    async def press(self, is_over: Callable[[], bool], most: int) -> None:
        """Let it come until that is over. Raises AssertionError for one who does not get through in time."""
        self.home.processes.healthy = True
        for _ in range(most):
            if is_over():
                return
            await self.home.box.rest(self.chance.choice(GAPS))
            await self._revive()
            self._refill()
            self._wait_for_one()
            if self.troubled and self.chance.random() < TROUBLE:
                self._refuse()
            if self.chance.random() < 0.02:
                self.home.life.dies_in = self.chance.randrange(1, 25)
        raise AssertionError("the load came to a standstill")

    async def _revive(self) -> None:
        """Nobody starts while no engine is there."""
        clock = self.home.box.clock
        while self.home.life.dead:
            since = clock.now()
            await self.home.box.rest(self.chance.choice(DOWN))
            await self.home.open()
            self._until += clock.now() - since + LATE
            self._asked = False
            for pool in POOLS if self.crowd.small.devices is None else ():
                send(self.home, pool)  # or nobody would know them, if it died before the first time

    def _refuse(self) -> None:
        """An endpoint refuses for a while, once beside each who waits: if it did so again and again, nobody would have
        a bound. Who asks it may be late by that, by the pause before it is probed, and by the probe; then there may be
        as little as one place, and those who ran go again before it. One that runs itself begins to wait anew.
        """
        if self._waiting is None or self._waiting == self._refused:
            return
        self._refused = self._waiting
        name, millis = self.chance.choice(self.crowd.calls), self.chance.choice(TROUBLES)
        self.home.box.endpoints.refuse(name, millis, says=self.chance.random() < 0.7)
        closed, reckoned = millis + COOLDOWN_MOST + LONGEST + LATE, self._most()
        self._closed[name] = self.home.box.clock.now() + closed
        if is_asked(name, self.crowd.small):
            self._width = 1
            closed += self.crowd.width * LONGEST
        if is_asked(name, self._variant):
            is_queued = self.home.witness.rows[self._waiting].state in QUEUED
            self._until += closed + self._most() - (reckoned if is_queued else 0)

    def _refill(self) -> None:
        """As many wait as ever."""
        rows = self.home.witness.rows.values()
        most = self.backlog // len(self.groups.crowd)
        for group in self.groups.crowd:
            waiting = sum(row.key is None and row.group == group and row.state in QUEUED for row in rows)
            if most - waiting > most // 4:
                spec = self._spec(self.crowd.small, limit=LIMIT if self.limited else None, patience=None)
                tasks = tuple(NewTask(spec, payload=RUNS_LONG, index=index) for index in range(most - waiting))
                self._submit(tasks, group, self.priority, lambda _task: None)

    def _wait_for_one(self) -> None:
        """Whoever waits starts in time; once it ended another comes. One whose client was not answered has no bound."""
        now, rows = self.home.box.clock.now(), self.home.witness.rows
        if self._waiting is not None:
            row = rows[self._waiting]
            assert row.state not in QUEUED or now <= self._until, (
                f"task {row.id} of group {row.group} was to start {now - self._until} ms ago at the latest: {row}"
            )
            if row.state in FINAL_STATES:
                self._waiting = None
                self.through += 1
        elif not self._asked and rows and all(row.key is None or row.state in FINAL_STATES for row in rows.values()):
            self._send_one()

    def _send_one(self) -> None:
        self._asked = True
        self._sent += 1
        self._given = self.chance.choice([None, None, 0, 60_000])
        self._variant = self.crowd.small if self.others else self.chance.choice(self.crowd.large)
        spec = self._spec(self._variant, limit=LIMIT, patience=self._given)
        task = NewTask(spec, payload=RUNS_LONG, key=f"waits {self._sent}")
        self._submit((task,), self.groups.one, 0, self._came)

    def _came(self, task: TaskId) -> None:
        """It waits from now on, and longer where an endpoint that it asks refused shortly before."""
        self._waiting, self._asked = task, False
        open_at = [until for name, until in self._closed.items() if is_asked(name, self._variant)]
        self._until = max([self.home.box.clock.now(), *open_at]) + LATE + self._most()

    def _most(self) -> int:
        """How long (ms) it waits at most. Of groups that wait each gets its share to within a task of each, at each
        depth; else who came before starts before it, then it is patient, then those end who hold what it lacks.
        """
        if self.others:
            return (3 if "/" not in "".join((*self.groups.crowd, self.groups.one)) else 6) * LONGEST
        rows = self.home.witness.rows
        before = sum(row.state in QUEUED and row.priority >= 0 for row in rows.values())
        finished = sum(row.state is TaskState.SUCCEEDED for row in rows.values())
        patience = patience_promised(given=self._given, limited=self.limited, finished=finished)
        return (before // self._width + 2) * LONGEST + patience + LONGEST

    def _spec(self, variant: Variant, *, limit: int | None, patience: int | None) -> TaskSpec:
        return spec_of(variant, limit=limit, patience=patience, driver="processes", program="program")

    def _submit(self, tasks: tuple[NewTask, ...], group: str, priority: int, came: Callable[[TaskId], object]) -> None:
        event = Submitted("load", tasks, group, priority, refuse_impossible=False)

        def told(answer: SubmitAnswer) -> None:
            self.home.witness.acknowledged.update(answer.tasks)
            came(answer.tasks[0])

        self.home.ask(lambda engine: engine.submit(event), told)
