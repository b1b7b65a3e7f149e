"""What must be true of sources after any turn, judged from stored rows and from what was ordered.

A second opinion on when a unit is asked for and on when it is over. It counts anew from all tasks each time, which the
machine must never do, and is silent where it cannot know better (pools that may be closed, devices).
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from passloop.kernel.changes import Turn
from passloop.kernel.events import PoolKind
from passloop.kernel.instructions import Expand
from passloop.kernel.resources import Variant
from passloop.kernel.source_rows import OPEN_STATES, Part, SourceRow, SourceState, TemplateNode, UnitRow
from passloop.kernel.tasks import FINAL_STATES, TaskState

from .oracle import Oracle
from .rows import Rows

__all__ = ["SourceOracle"]

LIVING = [state for state in TaskState if state not in FINAL_STATES]


@dataclass
class SourceOracle:
    """What was asked so far, by run, and the laws over it."""

    asked: dict[int, int] = field(default_factory=dict)

    def check(self, turn: Turn, rows: Rows, oracle: Oracle) -> None:
        """Raise AssertionError if a law does not hold after this turn."""
        orders = [order for order in turn.instructions if isinstance(order, Expand)]
        assert len({order.source for order in orders}) == len(orders), "a source is asked twice in one turn"
        for order in orders:
            self._check_order(order, rows, oracle)
        for run, row in rows.sources.items():
            self._check_units(row, rows)
            self._check_end(row, rows)
            if row.state is SourceState.OPEN and not row.held and not oracle.draining and not oracle.paused:
                assert not self._must_be_asked(row, rows, oracle), f"source {run} is left alone: {row}"

    def _check_order(self, order: Expand, rows: Rows, oracle: Oracle) -> None:
        row = rows.sources[order.source]
        asked = Part(order.unit, order.nodes)
        assert (row.state, row.asked, order.begun) == (SourceState.ASKED, asked, order.unit < row.unit), f"{order}"
        self._check_part(asked, row, rows)
        assert not row.held, f"a held source is asked: {row}"
        assert not oracle.draining, "a source is asked though nothing could start"
        assert not oracle.paused, "a source is asked though nothing could start"
        assert self._has_room(row, rows), f"a source is asked over its guard: {row}"
        assert self._is_any_hungry(row, rows, oracle), f"a source is asked though enough is ready everywhere: {row}"

    def _check_part(self, part: Part, row: SourceRow, rows: Rows) -> None:
        """Each node goes from unit to unit, none before those that it comes after; all together where memory is free.

        A single node may not keep as much as is free, nor be left behind while nothing at all is kept.
        """
        template, guard = rows.plans[row.run].template, rows.plans[row.run].guard
        fronts = dict.fromkeys(range(len(template)), row.unit) | dict(row.lags)
        nodes = part.nodes or range(len(template))
        assert {fronts[node] for node in nodes} == {part.unit}, f"{part} for {row}"
        assert row.end is None or part.unit < row.end, f"{part} is after the last of {row}"
        after = {before for node in nodes for before in template[node].after} - {*nodes}
        assert all(fronts[before] > part.unit for before in after), f"{part} comes before what it needs of {row}"
        kept = self._kept(row, rows)
        if guard.bytes is None or not self._open_units(row, rows) or 2 * kept < guard.bytes:
            rest = [node for node, front in fronts.items() if front == part.unit and node not in nodes]
            assert not rest, f"{rest} are left out of {part} though {kept} bytes are kept: {row}"

    @staticmethod
    def _tasks(row: SourceRow, rows: Rows, *states: TaskState) -> list[int]:
        return [task for task in rows.cells if rows.tasks[task].run == row.run and rows.state(task) in states]

    @staticmethod
    def _open_units(row: SourceRow, rows: Rows) -> list[UnitRow]:
        return [unit for (run, _), unit in rows.units.items() if run == row.run and unit.ended_at is None]

    def _has_room(self, row: SourceRow, rows: Rows) -> bool:
        """Invariant 12: resident bytes are under the guard before a unit comes."""
        guard = rows.plans[row.run].guard
        units = self._open_units(row, rows)
        few = guard.units is None or len(units) < guard.units
        small = guard.bytes is None or self._kept(row, rows) < guard.bytes
        return not units or (few and small)

    def _kept(self, row: SourceRow, rows: Rows) -> int:
        """The bytes that live tasks keep."""
        live = Counter(rows.cells[task].unit for task in self._tasks(row, rows, *LIVING))
        return sum(unit.bytes * min(live[unit.unit], unit.tasks) // unit.tasks for unit in self._open_units(row, rows))

    def _is_any_hungry(self, row: SourceRow, rows: Rows, oracle: Oracle) -> bool:
        """Whether the nodes that draw on some pools have fewer tasks ready than these are to have; on devices they may.

        A unit that came whole brings tasks of nodes that had enough, so those of all together say nothing.
        """
        plan = rows.plans[row.run]
        ready: Counter[object] = Counter()
        for task in self._tasks(row, rows, TaskState.READY):
            ready[_pools_of(plan.template[rows.cells[task].node])] += 1
        return any(
            variant.devices is not None or ready[_pools_of(node)] < max(1, plan.ahead) * self._places(variant, oracle)
            for node in plan.template
            for variant in node.request.variants
        )

    @staticmethod
    def _places(variant: Variant, oracle: Oracle) -> int:
        return min((max(1, oracle.capacities[name][1] // amount) for name, amount in variant.amounts), default=10**9)

    def _must_be_asked(self, row: SourceRow, rows: Rows, oracle: Oracle) -> bool:
        """A root that completes an output, draws on amounts alone, fits, and has nothing ready."""
        plan, lags = rows.plans[row.run], dict(row.lags)
        if not plan.ahead or not self._has_room(row, rows) or self._tasks(row, rows, TaskState.READY):
            return False
        busy = {rows.cells[task].node for task in self._tasks(row, rows, *LIVING)}
        crowded = plan.guard.bytes is not None and 2 * self._kept(row, rows) >= plan.guard.bytes
        return any(
            not node.after and node.completes and self._is_plain(variant, oracle)
            for number, node in enumerate(plan.template)
            for variant in node.request.variants
            if lags.get(number, row.unit) != row.end and not (crowded and number in busy)
        )

    @staticmethod
    def _is_plain(variant: Variant, oracle: Oracle) -> bool:
        draws = [(*oracle.capacities[name], amount) for name, amount in variant.amounts]
        return variant.devices is None and all(k is PoolKind.AMOUNT and amount <= most for k, most, amount in draws)

    def _check_units(self, row: SourceRow, rows: Rows) -> None:
        """A unit is over exactly when all its tasks are final, and units come in order, each once."""
        units = sorted(number for run, number in rows.units if run == row.run)
        assert units == list(range(row.unit)), f"units {units} of {row}"
        for number in units:
            mine = [t for t, cell in rows.cells.items() if cell.unit == number and rows.tasks[t].run == row.run]
            over = all(rows.state(task) in FINAL_STATES for task in mine)
            ended = rows.units[row.run, number].ended_at is not None
            assert ended == over, f"unit {number} of run {row.run} is {'' if ended else 'not '}over"

    def _check_end(self, row: SourceRow, rows: Rows) -> None:
        over = row.state not in OPEN_STATES and not self._open_units(row, rows)
        assert (row.ended_at is not None) == over, f"source is {'' if over else 'not '}over: {row}"
        if row.state in OPEN_STATES:
            assert row.lags or row.unit != row.end, f"a source waits for nothing: {row}"
        if row.state is SourceState.EXHAUSTED:
            assert not row.lags, f"a source ends before all of it is written out: {row}"
        if row.state is SourceState.RESTING:
            live = [t for t in rows.cells if rows.tasks[t].run == row.run and rows.state(t) not in FINAL_STATES]
            assert live or row.lags, f"a source rests though none of its tasks is live: {row}"


def _pools_of(node: TemplateNode) -> object:
    """What a node draws on: those that draw on the same count together."""
    return tuple(tuple(name for name, _ in variant.amounts) for variant in node.request.variants)
