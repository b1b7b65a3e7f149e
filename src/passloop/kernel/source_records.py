"""The machine's own working records of sources: nodes with what is ready of them, unfinished units. Mutable, inside the
kernel only; what leaves the kernel are the frozen rows of `source_rows.py`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from .source_rows import OPEN_STATES, Cell, SourcePlan, SourceRow, TemplateNode, UnitRow

if TYPE_CHECKING:
    from .records import Shape

__all__ = ["LiveCell", "Node", "Source", "Unit"]


class Node:
    """A node of a template. `kin` is the first node that draws on the same pools; `ready` counts ready tasks.

    `counts` is false for local work (nothing but CPUs, memory and disk) that completes no output: such a node is
    worth a unit only through what it unlocks.
    """

    __slots__ = ("after", "counts", "group", "kin", "ready", "shape")

    def __init__(self, row: TemplateNode, shape: Shape, kin: int) -> None:
        self.after = row.after
        self.group = row.group
        self.shape = shape
        self.kin = kin
        self.counts = row.completes or not row.is_local
        self.ready = 0


class Unit:
    """A unit that is not finished: `left` of its tasks are not final, and these keep their part of its `bytes` in
    memory until they are.
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
    """Work of one run that is not written out yet. `units` are the unfinished ones, `bytes` what these keep in memory,
    `left` their tasks that are not final."""

    __slots__ = (
        "asked_with",
        "bytes",
        "declared_at",
        "ended_at",
        "group",
        "held",
        "kind",
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

    def add(self, row: UnitRow) -> Unit:
        """An unfinished unit comes in."""
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
