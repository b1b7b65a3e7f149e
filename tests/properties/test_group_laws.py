"""Laws of fair shares: at every depth, those beside each other that always have work get the same, to one task."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import hypothesis.strategies as st
from hypothesis import given, settings

from tests.support.builders import MINUTE, World

NAMES = ("a", "a/x", "a/y", "a/x/p", "a/x/q", "b", "b/z", "c")
ENDS = 24


@settings(max_examples=30, deadline=None)
@given(groups=st.lists(st.sampled_from(NAMES), min_size=2, max_size=6, unique=True), restart=st.booleans())
def test_groups_beside_each_other_differ_by_one_task_at_most(groups: list[str], restart: bool) -> None:
    world = World(gpus=0, cpus=1, check=False)
    holder = world.submit(cpus=1, group="before")
    for group in groups:
        world.submit(cpus=1, n=ENDS, group=group)
    world.advance(MINUTE)
    world.finish(holder)
    ran: Counter[str] = Counter()
    for number in range(ENDS):
        (task,) = world.running
        ran[world.row(task).group] += 1
        world.advance(MINUTE)
        world.finish(task)
        if restart and number == ENDS // 2:
            world.restart()
    for counts in beside(groups, ran):
        assert max(counts) - min(counts) <= 1, ran


def beside(groups: list[str], ran: Counter[str]) -> Iterator[list[int]]:
    """For each group with groups inside, and for the whole, what each of those had that share there."""
    for outer in ("", *{name.rpartition("/")[0] for name in groups if "/" in name}):
        start = f"{outer}/" if outer else ""
        inside: Counter[str] = Counter()
        for name in groups:
            if name == outer or name.startswith(start):
                inside["" if name == outer else name.removeprefix(start).partition("/")[0]] += ran[name]
        yield list(inside.values())
