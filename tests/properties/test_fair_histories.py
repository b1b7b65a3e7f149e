"""Fairness over a whole history, judged from who ran how long, and from nothing that the machine counts.

Two groups that both have a task that waits, for as long as that is so, get the same to within one task of each. What
they did before, what limits they name and how often the engine restarts makes no difference.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from itertools import combinations

import hypothesis.strategies as st
from hypothesis import example, given, settings

from passloop.kernel.tasks import TaskState
from tests.support.builders import HOUR, MINUTE, World

GROUPS = ("a", "b", "c", "a/x")
LONGEST = 10
"""The longest task, in minutes."""
Step = tuple[str, str, int, int, int | None]
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("submit", "submit", "submit", "run", "run", "hold", "release", "restart", "rest")),
        st.sampled_from(GROUPS),
        st.integers(1, 12),
        st.integers(1, LONGEST),
        st.sampled_from((None, HOUR, 24 * HOUR)),
    ),
    min_size=3,
    max_size=30,
)


class Judged:
    """One CPU that several groups want, and what each got while two of them waited together, in minutes."""

    def __init__(self) -> None:
        self.world = World(gpus=0, cpus=1)
        self.minutes: dict[int, int] = {}
        self.got: dict[tuple[str, str], Counter[str]] = {}

    def take(self, step: Step) -> None:
        """What happens next; then as much as is running ends."""
        what, group, number, minutes, limit = step
        match what:
            case "submit":
                tasks = self.world.submit_many(cpus=1, n=number, group=group, limit=limit, patience=1_000 * HOUR)
                self.minutes.update(dict.fromkeys(tasks, minutes))
            case "hold":
                self.world.hold_group(group)
            case "release":
                self.world.release_group(group)
            case "restart":
                self.world.restart()
            case "rest" if not self.world.running:
                self.world.advance(number * HOUR)
        self._look()
        for _ in range(number if what == "run" else 1):
            self.end_one()

    def end_one(self) -> None:
        """Whoever runs ends after its time, and what it got is noted."""
        for task in self.world.running:
            minutes, group = self.minutes[task], self.world.row(task).group.partition("/")[0]
            self.world.advance(minutes * MINUTE)
            for pair, got in self.got.items():
                if group in pair:
                    got[group] += minutes
            self.world.finish(task)
        self._look()

    def _look(self) -> None:
        """Pairs of which one waits no longer are forgotten, and others begin; of the rest none is far behind."""
        rows = self.world.rows.tasks.values()
        waiting = sorted({row.group.partition("/")[0] for row in rows if row.state is TaskState.READY})
        pairs = list(combinations(waiting, 2))
        self.got = {pair: self.got.get(pair, Counter()) for pair in pairs}
        for (one, other), got in self.got.items():
            assert abs(got[one] - got[other]) <= 2 * LONGEST, f"{one} and {other} both waited, and got {_told(got)}"


def _told(got: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {minutes} minutes" for name, minutes in sorted(got.items()))


@settings(max_examples=150, deadline=None)
@given(steps=STEPS)
@example([("submit", "a", 12, 1, 24 * HOUR), ("submit", "b", 12, 1, None), *[("run", "a", 12, 1, None)] * 3])
def test_two_groups_that_wait_together_get_the_same_to_within_a_task_of_each(steps: list[Step]) -> None:
    judged = Judged()
    for step in steps:
        judged.take(step)
    for group in GROUPS:
        judged.world.release_group(group)
    for _ in range(400):
        if not judged.world.running:
            break
        judged.end_one()
    assert judged.world.rows.live() == []
