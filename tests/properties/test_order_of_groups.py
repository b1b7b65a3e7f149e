"""Whose turn it is in a walk, held against the plain definition, which looks at all groups again for each turn.

Groups stand in each other, wait for what is gone or closed, are at limits, held, served by parked workers, reserve.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from passloop.kernel import admission
from passloop.kernel.changes import SubmitAnswer
from passloop.kernel.events import PoolKind
from passloop.kernel.group_order import Cursor, GroupOrder
from passloop.kernel.ids import TaskId
from passloop.kernel.records import Group, Place
from passloop.kernel.tasks import NewTask
from tests.support.builders import HOUR, MINUTE, World, ask, spec_of

GROUPS = ("a", "a/x", "a/y", "a/x/p", "a/x/q", "b", "b/z", "b/z/deep/down", "c", "d", "stuck", "stuck/too", "calls")
ASKED = (
    *(ask(cpus=1), ask(cpus=1), ask(cpus=3), ask(gpus=1), ask(gpus=2), ask(share=0.5), ask(gpus=1, cpus=2)),
    *(ask(slots=1), ask(slots=2, cpus=1), ask(closed=1), ask(tokens=40), ask(cpus=4, exclusive=True)),
)
HISTORIES = 20
STEPS = 60

Turn = tuple[Cursor, Place | None]


def plain_first(cursors: Sequence[Cursor]) -> Turn | None:
    """Whose turn it is, and after which place another's: at each depth of groups the least virtual time, then the first
    place; the name, which two never share, is last."""
    left = [(cursor, place) for cursor in cursors if (place := cursor.place) is not None]
    until: Place | None = None
    depth = 0
    while len(left) > 1:
        inside: dict[Group, list[tuple[Cursor, Place]]] = {}
        for one in left:
            inside.setdefault(one[0].path[depth], []).append(one)
        depth += 1
        turns = sorted((group.virtual_time, min(at for _, at in own), group.name) for group, own in inside.items())
        if len(turns) > 1 and turns[0][0] == turns[1][0]:
            until = turns[1][1] if until is None else min(until, turns[1][1])
        left = next(own for group, own in inside.items() if group.name == turns[0][2])
    return (left[0][0], until) if left else None


def judged(met: Counter[str]) -> type[GroupOrder]:
    """The order that a walk uses, each turn of it held against the plain definition; counts what was met."""

    class Judged(GroupOrder):
        __slots__ = ("_cursors",)

        def __init__(self, cursors: Sequence[Cursor], depth: int = 0) -> None:
            super().__init__(cursors, depth)
            self._cursors = cursors

        def first(self) -> Turn | None:
            found = super().first()
            assert found == plain_first(self._cursors)
            met["turns"] += 1
            if found is not None:
                cursor, until = found
                met["turns among several"] += sum(one.place is not None for one in self._cursors) > 1
                met["ties"] += until is not None
                met["turns inside groups"] += len(cursor.path) > 1
                met["later turns of one group"] += cursor.at > 0
            return found

    return Judged


class Story:
    """Whatever may happen to groups, by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.world = World(gpus=3, cpus=6, check=False)
        self.calls: set[TaskId] = set()
        self.warm: set[TaskId] = set()
        self.world.declare("slots", PoolKind.LIMIT, 2)
        self.world.declare("closed", PoolKind.LIMIT, 2)
        self.world.declare("tokens", PoolKind.RATE, 100)
        self.steps: dict[Callable[[], object], int] = {
            self.submit: 8,
            self.call: 4,
            self.end: 8,
            self.park: 4,
            self.refuse: 1,
            self.rest: 3,
            self.hold: 1,
            self.release: 1,
            self.prioritise: 1,
            self.lose: 1,
            self.find: 1,
            self.world.restart: 1,
        }

    def play(self) -> None:
        """So many steps."""
        for step in self.chance.choices([*self.steps], [*self.steps.values()], k=STEPS):
            step()

    def submit(self) -> None:
        """Tasks of a few groups at once, so that several wait."""
        chance = self.chance
        for group in chance.sample(GROUPS, chance.choice((1, 2, 4))):
            self.world.submit_many(
                *chance.sample(ASKED, chance.choice((1, 1, 2))),
                n=chance.choice((1, 2, 5)),
                group=group,
                priority=chance.choice((0, 0, 0, 1)),
                limit=chance.choice((None, MINUTE, HOUR)),
                patience=chance.choice((None, 0, MINUTE)),
                refuse_impossible=False,
            )

    def call(self) -> None:
        """Calls, of an endpoint that may close or of two keys whose workers live on."""
        group = self.chance.choice(GROUPS)
        if self.chance.random() < 0.5:
            self.calls.update(self.world.submit_many(closed=1, n=3, group=group))
        else:
            specs = [spec_of(ask(gpus=1), warm_key=key) for key in self.chance.choices("mn", k=4)]
            answer = self.world.offer([NewTask(spec=spec, index=at) for at, spec in enumerate(specs)], group=group)
            assert isinstance(answer, SubmitAnswer)
            self.warm.update(answer.tasks)

    def end(self) -> None:
        """One or two end together."""
        running = self.world.running
        ending = self.chance.sample(running, min(len(running), self.chance.choice((1, 1, 2))))
        how = [self.chance.choice(("success", "success", "failure", "lost")) for _ in ending]
        self.world.send(*map(self.world.exit_of, ending, how))

    def park(self) -> None:
        """A warm one ends, and its worker stays."""
        for task in [task for task in self.world.running if task in self.warm][:1]:
            self.world.park(task)

    def refuse(self) -> None:
        """An endpoint refuses a call, and closes."""
        for task in [task for task in self.world.running if task in self.calls][:1]:
            self.world.end(task, "rate_limited", retry_after=MINUTE, pool="closed")

    def rest(self) -> None:
        """Time passes."""
        self.world.advance(self.chance.choice((1_000, MINUTE, 10 * MINUTE)))

    def hold(self) -> None:
        """A user holds a group."""
        self.world.hold_group(self.chance.choice(GROUPS))

    def release(self) -> None:
        """A user releases a group."""
        self.world.release_group(self.chance.choice(GROUPS))

    def prioritise(self) -> None:
        """One that waits is worth more, or less."""
        if self.world.ready:
            self.world.prioritise(self.chance.choice(self.world.ready), self.chance.choice((0, 1, 2)))

    def lose(self) -> None:
        """A GPU is somebody else's."""
        self.world.foreign(2)

    def find(self) -> None:
        """It is ours again."""
        self.world.gone(2)


def test_each_turn_of_a_walk_is_whose_the_plain_definition_says(monkeypatch: pytest.MonkeyPatch) -> None:
    met: Counter[str] = Counter()
    monkeypatch.setattr(admission, "GroupOrder", judged(met))
    for seed in range(HISTORIES):
        Story(seed).play()
    for what in ("turns among several", "ties", "turns inside groups", "later turns of one group"):
        assert met[what] > HISTORIES, f"few {what}: {met}"
