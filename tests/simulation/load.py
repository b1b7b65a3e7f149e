"""Endless load: small tasks come for as long as a history lasts, and whoever waits beside them must get through.

One at a time somebody waits for more of what the small ones take, or for as much in a group that has waited least. The
judge reckons by itself by when that task must have started, from what `docs/design/admission.md` promises: those who
came before it, its patience, and one run of those who hold what it lacks. It asks the machine nothing. Engines die
meanwhile, and that time is given them.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import NamedTuple

from passloop.kernel.changes import SubmitAnswer
from passloop.kernel.events import Submitted
from passloop.kernel.ids import TaskId
from passloop.kernel.resources import Variant
from passloop.kernel.tasks import FINAL_STATES, NewTask, TaskSpec, TaskState
from tests.support.builders import ask, spec_of

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


class Crowd(NamedTuple):
    """Small tasks, how many of them run at once, and what is larger beside them."""

    small: Variant
    width: int
    large: tuple[Variant, ...]


CROWDS = (
    Crowd(ask(gpus=1), 4, (ask(gpus=2), ask(gpus=3), ask(gpus=4))),
    Crowd(ask(share=0.5), 8, (ask(gpus=1), ask(gpus=4))),
    Crowd(ask(cpus=2), 3, (ask(cpus=5), ask(cpus=6))),
    Crowd(ask(gpus=1, cpus=1), 4, (ask(gpus=3, cpus=1), ask(gpus=4, cpus=6))),
)


def patience_promised(*, given: int | None, limited: bool, finished: int) -> int:
    """How long (ms) a head may wait before the devices that free are kept for it."""
    if given is not None:
        return given
    if limited:
        return 0
    return 2 * LONGEST if finished >= LEARNED else HOUR


class Load:
    """The load on one home, and the one that waits beside it. `through` is how many got through."""

    def __init__(self, home: SimulatedHome, chance: random.Random) -> None:
        self.home, self.chance = home, chance
        self.crowd: Crowd = chance.choice(CROWDS)
        self.limited = chance.random() < 0.3
        self.others = chance.random() < 0.4
        self.backlog = 60 if self.others else 12
        self.priority = 0 if self.others else chance.choice([0, 0, -1])
        self.through = 0
        self._sent = 0
        self._waiting: TaskId | None = None
        self._asked = False
        self._until = 0

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

    def _refill(self) -> None:
        """As many wait as ever."""
        rows = self.home.witness.rows.values()
        missing = self.backlog - sum(row.key is None and row.state in QUEUED for row in rows)
        if missing > self.backlog // 4:
            spec = self._spec(self.crowd.small, limit=LIMIT if self.limited else None, patience=None)
            tasks = tuple(NewTask(spec, payload=RUNS_LONG, index=index) for index in range(missing))
            self._submit(tasks, "default", self.priority, lambda _task: None)

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
        given = self.chance.choice([None, None, 0, 60_000])
        variant = self.crowd.small if self.others else self.chance.choice(self.crowd.large)
        spec = self._spec(variant, limit=LIMIT, patience=given)
        task = NewTask(spec, payload=RUNS_LONG, key=f"waits {self._sent}")
        self._submit((task,), "night" if self.others else "default", 0, lambda task: self._came(task, given))

    def _came(self, task: TaskId, given: int | None) -> None:
        """It waits from now on."""
        self._waiting, self._asked = task, False
        self._until = self.home.box.clock.now() + LATE + self._most(given)

    def _most(self, given: int | None) -> int:
        """How long (ms) it waits at most. Of two groups that wait each gets its share to within a task of each; else
        who came before starts before it, then it is patient, then those end who hold what it lacks.
        """
        if self.others:
            return 3 * LONGEST
        rows = self.home.witness.rows
        before = sum(row.state in QUEUED and row.priority >= 0 for row in rows.values())
        finished = sum(row.state is TaskState.SUCCEEDED for row in rows.values())
        patience = patience_promised(given=given, limited=self.limited, finished=finished)
        return (before // self.crowd.width + 2) * LONGEST + patience + LONGEST

    def _spec(self, variant: Variant, *, limit: int | None, patience: int | None) -> TaskSpec:
        return spec_of(variant, limit=limit, patience=patience, driver="processes", program="program")

    def _submit(self, tasks: tuple[NewTask, ...], group: str, priority: int, came: Callable[[TaskId], object]) -> None:
        event = Submitted("load", tasks, group, priority, refuse_impossible=False)

        def told(answer: SubmitAnswer) -> None:
            self.home.witness.acknowledged.update(answer.tasks)
            came(answer.tasks[0])

        self.home.ask(lambda engine: engine.submit(event), told)
