"""The machine's own working records of sources: nodes with what is ready of them, unfinished units. Mutable, inside the
kernel only; what leaves the kernel are the frozen rows of `source_rows.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .source_rows import OPEN_STATES, Cell, Lag, Part, SourcePlan, SourceRow, TemplateNode, UnitRow

if TYPE_CHECKING:
    from .records import Shape

__all__ = ["LiveCell", "Node", "Source", "Unit"]


class Node:
    """A node of a template. `kin` is the first node that draws on the same pools; `ready` counts ready tasks, `live`
    those that are not final.

    `counts` is false for local work (nothing but CPUs, memory and disk) that completes no output: such a node is
    worth a unit only through what it unlocks.
    """

    __slots__ = ("after", "counts", "group", "kin", "live", "ready", "shape")

    def __init__(self, row: TemplateNode, shape: Shape, kin: int) -> None:
        self.after = row.after
        self.group = row.group
        self.shape = shape
        self.kin = kin
        self.counts = row.completes or not row.is_local
        self.ready = self.live = 0


class Unit:
    """A unit with live tasks: `left` of its tasks are not final, and these keep their part of its `bytes` in memory
    until they are. What is not written out of it, or final, keeps nothing.
    """

    __slots__ = ("bytes", "ended_at", "expanded_at", "left", "number", "source", "tasks")

    def __init__(self, source: Source, row: UnitRow) -> None:
        self.source = source
        self.number = row.unit
        self.bytes = row.bytes
        self.tasks = row.tasks
        self.left = 0
        self.expanded_at = row.expanded_at
        self.ended_at = row.ended_at

    @property
    def resident(self) -> int:
        """How many bytes it keeps in memory now."""
        return self.bytes * min(self.left, self.tasks) // self.tasks if self.tasks else 0

    def count(self, by: int) -> None:
        """So many of its tasks more, or less, are not final."""
        before = self.resident
        self.left += by
        self.source.bytes += self.resident - before

    def extend(self, *, size: int, tasks: int) -> None:
        """Another part of it comes, with so many tasks that keep so many bytes."""
        before = self.resident
        self.bytes += size
        self.tasks += tasks
        self.source.bytes += self.resident - before

    def resize(self, size: int) -> None:
        """All its tasks together keep this many bytes."""
        before = self.resident
        self.bytes = size
        self.source.bytes += self.resident - before

    def row(self) -> UnitRow:
        """The unit as it is now, frozen."""
        return UnitRow(self.source.run, self.number, self.bytes, self.tasks, self.expanded_at, self.ended_at)


class LiveCell:
    """A task's place in its source: the unit it counts for, and the node."""

    __slots__ = ("node", "number", "unit")

    def __init__(self, unit: Unit, number: int) -> None:
        self.unit = unit
        self.number = number
        self.node = unit.source.nodes[number]

    def row(self) -> Cell:
        """The place, frozen."""
        return Cell(self.unit.number, self.number)


class Source:
    """Work of one run that is not written out yet. `units` are those with live tasks, `bytes` what these keep in
    memory, `left` how many of their tasks are live. `lags` has the next unit of each node that is not as far as `unit`.
    """

    __slots__ = (
        "asked",
        "asked_with",
        "bytes",
        "declared_at",
        "end",
        "ended_at",
        "group",
        "held",
        "kind",
        "lags",
        "left",
        "message",
        "nodes",
        "plan",
        "priority",
        "run",
        "state",
        "tasks",
        "unit",
        "units",
    )

    def __init__(self, row: SourceRow, plan: SourcePlan, shapes: Sequence[Shape]) -> None:
        self.run, self.kind, self.group, self.priority = row.run, row.kind, row.group, row.priority
        self.state, self.held = row.state, row.held
        self.unit, self.tasks, self.asked_with = row.unit, row.tasks, row.asked_with
        self.message, self.declared_at, self.ended_at = row.message, row.declared_at, row.ended_at
        self.asked = row.asked
        self.lags: dict[int, int] = dict(row.lags)
        self.end = plan.units if row.end is None else row.end
        self.plan = plan
        self.nodes = _nodes(plan.template, shapes)
        self.units: dict[int, Unit] = {}
        self.bytes = 0
        self.left = 0

    @property
    def is_open(self) -> bool:
        """Whether units may still come."""
        return self.state in OPEN_STATES

    @property
    def final_tasks(self) -> int:
        """How many tasks of its units are final."""
        return self.tasks - self.left

    @property
    def has_more(self) -> bool:
        """Whether there are units of which nothing is written out, as far as is known."""
        return self.end is None or self.unit < self.end

    def front(self, node: int) -> int:
        """The next unit of a node."""
        return self.lags.get(node, self.unit)

    def advance(self, part: Part) -> None:
        """This part is written out: its nodes go on to the next unit; of a new unit the others stay behind."""
        nodes = part.nodes or range(len(self.nodes))
        if part.unit == self.unit:
            behind = {number: self.front(number) for number in range(len(self.nodes)) if number not in nodes}
            self.unit += 1
        else:
            behind = self.lags | dict.fromkeys(nodes, part.unit + 1)
        self.lags = {number: front for number, front in sorted(behind.items()) if front < self.unit}

    def add(self, row: UnitRow) -> Unit:
        """A unit that has no live task yet comes in."""
        unit = self.units[row.unit] = Unit(self, row)
        return unit

    def row(self) -> SourceRow:
        """The source as it is now, frozen."""
        return SourceRow(
            self.run,
            self.kind,
            self.group,
            self.priority,
            self.state,
            self.held,
            self.unit,
            self.tasks,
            self.asked_with,
            self.message,
            self.declared_at,
            self.ended_at,
            self.asked,
            tuple(Lag(node, unit) for node, unit in self.lags.items()),
            self.end,
        )


def _nodes(template: Sequence[TemplateNode], shapes: Sequence[Shape]) -> tuple[Node, ...]:
    """The nodes, each with the first that draws on the same pools in the same variants."""
    pools = [
        tuple((v.devices is not None, tuple(name for name, _ in v.amounts)) for v in n.request.variants)
        for n in template
    ]
    return tuple(
        Node(row, shape, pools.index(drawn)) for row, shape, drawn in zip(template, shapes, pools, strict=True)
    )
