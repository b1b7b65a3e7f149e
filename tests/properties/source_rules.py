"""What can happen to sources, as rules for the laws of the machine: they are declared, expanded well and badly,
resized, retried, and the same answers come twice or late."""

from __future__ import annotations

from typing import TYPE_CHECKING

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from passloop.kernel.events import Expanded, ExpansionFailed, SourceDeclared, SourceRetried, UnitResized
from passloop.kernel.ids import RunId, TaskId
from passloop.kernel.resources import Request
from passloop.kernel.source_rows import (
    OPEN_STATES,
    Part,
    ResidentGuard,
    SourcePlan,
    SourceRow,
    SourceState,
    TemplateNode,
)
from passloop.kernel.tasks import Dependency, NewTask
from tests.support.builders import ask, spec_of

if TYPE_CHECKING:
    from passloop.kernel.events import Event
    from tests.support.watched import WatchedWorld

__all__ = ["SourceRules"]


def _node(request: tuple[object, ...], after: tuple[int, ...] = (), *, completes: bool = False) -> TemplateNode:
    return TemplateNode(Request(request), after=after, completes=completes)  # type: ignore[arg-type]


TEMPLATES = (
    (_node((ask(cpus=4),), completes=True),),
    (_node((ask(gpus=1),), completes=True),),
    (_node((ask(share=0.5, cpus=1),)), _node((ask(cpus=1),), (0,), completes=True)),
    (_node((ask(cpus=1),)), _node((ask(cpus=1, model=1),), (0,)), _node((ask(cpus=1, other=1),), (0,))),
    (_node((ask(model=1, tokens=30),)), _node((ask(other=1),)), _node((ask(cpus=2),), (0, 1), completes=True)),
    (_node((ask(gpus=2), ask(cpus=8)), completes=True), _node((ask(gpus=6),), (0,), completes=True)),
    (_node((ask(model=1),)), _node((ask(gpus=1),), completes=True), _node((ask(gpus=1, other=1),), (0,))),
)
GUARDS = (
    ResidentGuard(),
    ResidentGuard(units=2),
    ResidentGuard(bytes=100),
    ResidentGuard(bytes=100),
    ResidentGuard(bytes=400, units=5),
)
LATER = st.booleans()
PICK = st.integers(0, 10_000)


class SourceRules(RuleBasedStateMachine):
    """Rules for a state machine that has a `world` and `emit`."""

    world: WatchedWorld

    def emit(self, event: Event, *, later: bool = False) -> None:
        """Put an event into the inbox and, unless it may wait, handle all that is there."""
        raise NotImplementedError

    def sources(self, *states: SourceState) -> list[SourceRow]:
        """Sources as stored, in these states."""
        return [row for row in self.world.rows.sources.values() if row.state in states]

    def _source(self, pick: int, *states: SourceState) -> SourceRow:
        rows = self.sources(*states)
        return rows[pick % len(rows)]

    @precondition(lambda self: len(self.sources(*OPEN_STATES)) < 2)
    @rule(
        template=st.sampled_from(TEMPLATES),
        guard=st.sampled_from(GUARDS),
        ahead=st.sampled_from((2, 2, 1, 0)),
        units=st.sampled_from((None, None, 0, 2, 5)),
        group=st.sampled_from(("default", "other", "other/inner")),
        priority=st.sampled_from((0, 0, 1)),
        later=LATER,
    )
    def declare_source(
        self,
        *,
        template: tuple[TemplateNode, ...],
        guard: ResidentGuard,
        ahead: int,
        units: int | None,
        group: str,
        priority: int,
        later: bool,
    ) -> None:
        plan = SourcePlan(template, guard, ahead, units)
        self.emit(SourceDeclared("source", "kind", plan, group, priority, refuse_impossible=False), later=later)

    @precondition(lambda self: self.sources(SourceState.ASKED))
    @rule(
        pick=PICK,
        counts=st.lists(st.integers(0, 2), min_size=3, max_size=3),
        size=st.sampled_from((0, 10, 60, 200)),
        exhausted=st.sampled_from((False, False, False, True)),
        keyed=st.sampled_from((None, None, "a")),
        times=st.integers(1, 6),
        later=LATER,
    )
    def expand(
        self,
        *,
        pick: int,
        counts: list[int],
        size: int,
        exhausted: bool,
        keyed: str | None,
        times: int,
        later: bool,
    ) -> None:
        """Answer what is asked, up to so many times; the last answer may come twice, or wait."""
        run = self._source(pick, SourceState.ASKED).run
        for last in (*(False,) * (times - 1), True):
            row = self.world.rows.sources[run]
            if row.asked is None:
                return
            known = self.world.rows.known_keys_for([keyed] if keyed else [])
            tasks = self._unit(row, counts, keyed)
            named = {*(task for _, task in known), *(need.task for task in tasks for need in task.after)}
            final = [task for task in sorted(named) if task > 0 and self.world.rows.is_final(task)]
            states = tuple((TaskId(task), self.world.rows.state(task)) for task in final)
            words = {"known": states, "known_keys": known, "nodes": row.asked.nodes}
            event = Expanded(run, row.asked.unit, tasks, size, exhausted and last, **words)
            if last and not times % 2:
                self.emit(event, later=True)
            self.emit(event, later=last and later)

    def _unit(self, row: SourceRow, counts: list[int], key: str | None) -> tuple[NewTask, ...]:
        """Some tasks of each node asked for, each after the last one of each node that its own comes after."""
        part, rows = row.asked or Part(row.unit), self.world.rows
        made: list[NewTask] = []
        last = {
            cell.node: task
            for task, cell in rows.cells.items()
            if cell.unit == part.unit and rows.tasks[task].run == row.run
        }
        template = rows.plans[row.run].template
        for number in part.nodes or range(len(template)):
            for _ in range(counts[number % len(counts)]):
                after = tuple(Dependency(last[before]) for before in template[number].after if before in last)
                spec = spec_of(*template[number].request.variants)
                made.append(NewTask(spec, key=key if not made else None, index=part.unit, after=after, node=number))
            last |= {number: -len(made)} if made else {}
        return tuple(made)

    @precondition(lambda self: self.sources(SourceState.ASKED))
    @rule(pick=PICK, how=st.sampled_from(("rest", "rest", "failed", "wrong node", "late", "other nodes")), later=LATER)
    def expand_badly(self, pick: int, how: str, later: bool) -> None:
        row = self._source(pick, SourceState.ASKED)
        assert row.asked is not None
        unit, nodes = row.asked
        misplaced = (NewTask(spec_of(ask(cpus=1)), node=9),)
        events: dict[str, Event] = {
            "rest": Expanded(row.run, unit, rest=True, nodes=nodes),
            "failed": ExpansionFailed(row.run, unit, "no such file", nodes),
            "wrong node": Expanded(row.run, unit, misplaced, nodes=nodes),
            "late": Expanded(row.run, row.unit + 1, (NewTask(spec_of(ask(cpus=1))),)),
            "other nodes": Expanded(row.run, unit, (NewTask(spec_of(ask(cpus=1))),), nodes=(*nodes, 5)),
        }
        self.emit(events[how], later=later)

    @precondition(lambda self: self.world.rows.sources)
    @rule(pick=PICK, what=st.sampled_from(("retry", "retry", "resize", "stale")), size=st.sampled_from((0, 5, 90)))
    def touch_source(self, pick: int, what: str, size: int) -> None:
        row = self._source(pick, *SourceState)
        events: dict[str, Event] = {
            "retry": SourceRetried(row.run),
            "resize": UnitResized(row.run, max(0, row.unit - 1), size),
            "stale": Expanded(row.run, max(0, row.unit - 1), (NewTask(spec_of(ask(cpus=1))),)),
        }
        self.emit(events[what])

    def some_runs(self, pick: int) -> tuple[RunId, ...]:
        """A run with a source, now and then."""
        rows = list(self.world.rows.sources.values())
        return (rows[pick % len(rows)].run,) if rows and pick % 3 == 0 else ()
