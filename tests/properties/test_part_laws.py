"""Laws of units in parts, over any template and any history of closed pools, failures and restarts: each node of each
unit comes once and in order, memory stays under its guard, and once all is well nothing is left half.

After every turn the whole machine is cross-examined (`support/watched.py`).
"""

from __future__ import annotations

from collections import Counter

import hypothesis.strategies as st
from hypothesis import example, given, settings

from passloop.kernel.events import PoolOpened
from passloop.kernel.ids import PoolName, RunId, TaskId
from passloop.kernel.source_rows import SourceState, TemplateNode
from passloop.kernel.tasks import NewTask
from tests.support.sourced import SourcedWorld, call, local
from tests.support.watched import WatchedWorld

MODELS = ("m0", "m1", "m2")
EACH = 10
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ("expand", "expand", "expand", "finish", "finish", "fail", "cool", "open", "cancel", "restart", "rest")
        ),
        st.integers(0, 5),
    ),
    max_size=30,
)


@st.composite
def templates(draw: st.DrawFn) -> list[TemplateNode]:
    """Two to four nodes, each after any of the earlier ones."""
    nodes = [call("m0", completes=True)]
    for number in range(1, draw(st.integers(2, 4))):
        after = sorted(draw(st.sets(st.integers(0, number - 1), max_size=2)))
        kind = draw(st.sampled_from((*MODELS, "local")))
        nodes.append(local(after=after) if kind == "local" else call(kind, after=after, on_dead="fail"))
    return nodes


class PartsWorld(SourcedWorld, WatchedWorld):
    """A world with one source, whose every turn is cross-examined."""

    def begin(self, template: list[TemplateNode], *, limit: int, guard: int, rows: int, units: int) -> RunId:
        """Declare it. `rows` is how many tasks of each node a unit has, `guard` how many tasks memory is for."""
        self.declare_models(*MODELS, limit=limit)
        self.rows_of_unit, self.guard = rows, guard * EACH
        self.run = self.source(*template, bytes=self.guard, units=units)
        self.size = len(template) * rows * EACH
        return self.run

    def unit(self, run: int) -> tuple[NewTask, ...]:
        """As many of each as a unit has rows."""
        return super().unit(run) * self.rows_of_unit

    def carry_out(self, word: str, number: int) -> None:
        """One step of a history; one that cannot be is none."""
        mine = [task for task in self.running if self.rows.tasks[task].run == self.run]
        if word == "expand" and self.is_asked(self.run):
            tasks = self.unit(self.run)
            self.expand(self.run, tasks, bytes=EACH * len(tasks))
        elif word == "rest" and self.is_asked(self.run) and self.part_of(self.run).unit == self.row_of(self.run).unit:
            self.expand(self.run, (), rest=True)
        elif word in ("finish", "fail") and mine:
            self.end_some(mine[: number + 1], well=word == "finish")
        elif word in ("cool", "open"):
            self.close_or_open(MODELS[number % len(MODELS)], closes=word == "cool")
        elif word == "cancel" and (waiting := self.ready[:number]):
            self.cancel(*waiting)
        elif word == "restart":
            self.restart()
        assert self.machine.state.sources.get(self.run) is None or self.kept < self.guard + self.size

    def end_some(self, tasks: list[TaskId], *, well: bool) -> None:
        """These end."""
        for task in tasks:
            self.end(task, "success" if well else "failure")

    def close_or_open(self, model: str, *, closes: bool) -> None:
        """A model refuses one of its calls, and those of the next hour; or it is opened by hand."""
        if not closes:
            self.send(PoolOpened(PoolName(model)))
            return
        calls = [task for task in self.running if model in dict(self.rows.attempt_of(task).allocation.amounts)]
        for task in calls[:1]:
            self.end(task, "rate_limited", status=401, retry_after=3_600_000, pool=PoolName(model))

    @property
    def kept(self) -> int:
        """Bytes in memory."""
        return self.machine.state.sources[self.run].bytes

    def heal(self) -> None:
        """All models open and answer; all that is asked for comes; to the end."""
        for _ in range(1_000):
            if self.row_of(self.run).ended_at is not None:
                return
            self.send(*(PoolOpened(PoolName(model)) for model in MODELS))
            while self.is_asked(self.run):
                self.carry_out("expand", 0)
            self.end_some(self.running, well=True)
        raise AssertionError(f"it never ends: {self.row_of(self.run)}")


@settings(max_examples=40, deadline=None)
@given(
    template=templates(),
    limit=st.sampled_from((1, 2, 30)),
    guard=st.integers(2, 30),
    rows=st.integers(1, 2),
    steps=STEPS,
)
@example([call("m0", completes=True), call("m1"), call("m1")], 1, 11, 1, [("expand", 0), ("finish", 0)])
def test_every_node_of_every_unit_comes_once_and_none_is_left_half(
    template: list[TemplateNode], limit: int, guard: int, rows: int, steps: list[tuple[str, int]]
) -> None:
    world = PartsWorld(gpus=0, cpus=2)
    run = world.begin(template, limit=limit, guard=guard, rows=rows, units=6)
    for word, number in steps:
        world.carry_out(word, number)
    world.heal()
    assert world.row_of(run).state in (SourceState.EXHAUSTED, SourceState.FAILED)
    if world.row_of(run).state is SourceState.EXHAUSTED:
        cells = Counter((cell.unit, cell.node) for cell in world.rows.cells.values())
        assert cells == dict.fromkeys(((u, n) for u in range(6) for n in range(len(template))), rows)
    for node in range(len(template)):
        units = [unit for unit, nodes in world.asked_parts(run) if not nodes or node in nodes]
        assert units == sorted(units)
