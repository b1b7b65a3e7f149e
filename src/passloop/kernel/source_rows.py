"""Sources and their units as frozen records: what an app declares, and what is stored of it. No rule lives here.

A source's id is that of its run, and a run has one source at most. Times are engine time in milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from .ids import RunId
from .resources import CPU, DISK, MEMORY, Request

__all__ = [
    "OPEN_STATES",
    "Cell",
    "Lag",
    "Part",
    "ResidentGuard",
    "SourcePlan",
    "SourceRow",
    "SourceState",
    "TemplateNode",
    "UnitRow",
]


_OF_THE_NODE = frozenset({CPU, MEMORY, DISK})


class SourceState(StrEnum):
    """Where a source is: open, asked for a unit or part, resting until one of its tasks is final, or over."""

    OPEN = "open"
    ASKED = "asked"
    RESTING = "resting"
    EXHAUSTED = "exhausted"
    FAILED = "failed"
    CANCELLED = "cancelled"


OPEN_STATES = frozenset({SourceState.OPEN, SourceState.ASKED, SourceState.RESTING})
"""States in which units may still come."""


@dataclass(frozen=True, slots=True)
class TemplateNode:
    """One kind of task in a unit: what each asks, and after which nodes of the template (by index) it comes.

    `completes` says that it completes an output of the unit. Outputs that one task makes together are one node.
    `group` is that of its tasks inside the source's own; empty = that one itself. `on_dead` is as in `TaskSpec`.
    """

    request: Request
    driver: str = "processes"
    after: tuple[int, ...] = ()
    completes: bool = False
    group: str = ""
    on_dead: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it draws on nothing but CPUs, memory and disk."""
        return not any(
            variant.devices or variant.exclusive or any(name not in _OF_THE_NODE for name, _ in variant.amounts)
            for variant in self.request.variants
        )


@dataclass(frozen=True, slots=True)
class ResidentGuard:
    """The most that unfinished units may keep in memory, in bytes and in units; None is no bound.

    One unit is always let in, so a unit that is larger than the guard is no deadlock.
    """

    bytes: int | None = None
    units: int | None = None


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """What never changes of a source. `units` and `tasks` are how many there will be, None if nobody knows.

    `ahead` is how often what the pools of a node hold may be ready beside what runs; 0 asks for a unit only when a
    task could start at once.
    """

    template: tuple[TemplateNode, ...]
    guard: ResidentGuard = ResidentGuard()
    ahead: int = 2
    units: int | None = None
    tasks: int | None = None


class Cell(NamedTuple):
    """A task's place in a source: the unit that it is of, and the node of the template."""

    unit: int
    node: int


class Part(NamedTuple):
    """Some nodes of a unit, in order, that are written out together; none = all nodes of the template."""

    unit: int
    nodes: tuple[int, ...] = ()


class Lag(NamedTuple):
    """A node of the template of which fewer units are written out than of others: its next unit."""

    node: int
    unit: int


class SourceRow(NamedTuple):
    """A source as stored. `unit` is the next one of which nothing is written out, `tasks` how many tasks came so far.

    `asked_with` is how many of these were final when it was last asked. `message` says why it failed or was cancelled.
    `ended_at` is set once no unit comes any more and all tasks of all units are final. `asked` is set while it is asked
    for that. `lags` are the nodes whose next unit is not `unit` but an earlier one, in order; `end` is how many units
    there are, None while nobody knows.
    """

    run: RunId
    kind: str
    group: str
    priority: int
    state: SourceState
    held: bool
    unit: int
    tasks: int
    asked_with: int
    message: str
    declared_at: int
    ended_at: int | None
    asked: Part | None = None
    lags: tuple[Lag, ...] = ()
    end: int | None = None


class UnitRow(NamedTuple):
    """A unit as stored. `bytes` is what its `tasks` keep in memory, each an equal part until it is final; at `ended_at`
    all are. Of a unit that comes in parts these are of the parts that came since it last had no live task.
    """

    run: RunId
    unit: int
    bytes: int
    tasks: int
    expanded_at: int
    ended_at: int | None
