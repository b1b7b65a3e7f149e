"""A dataset played on a machine alone: columns that call models, models that refuse and fail by a script, a fake clock.

Each call takes `LATENCY` ms; what a model answers is decided when the call arrives, by its own troubles. Laws that hold
at any time are checked as it goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import NamedTuple

from passloop.kernel.changes import TaskAdded
from passloop.kernel.cooldowns import Gate
from passloop.kernel.events import Event, PoolDeclared, PoolKind
from passloop.kernel.ids import PoolName, RunId, TaskId
from passloop.kernel.instructions import Expand, Start
from passloop.kernel.tasks import Dependency, NewTask, TaskSpec, TaskState

from .sourced import SourcedWorld, call

__all__ = ["Billed", "Column", "DatasetPlay", "Trouble"]

LATENCY = 20
BYTES = 100
"""What a task keeps in memory."""


class Column(NamedTuple):
    """A column: the model that it asks, and the columns (by place) that it comes after."""

    model: str
    after: tuple[int, ...] = ()


class Trouble(NamedTuple):
    """From `begin` to `end` (ms, None: for ever) every so many-th call of a model gets this status."""

    model: str
    status: int = 429
    begin: int = 0
    end: int | None = None
    every: int = 1
    retry_after: int | None = None


class Billed(NamedTuple):
    """A call as its endpoint saw it."""

    at: int
    model: str
    key: str
    status: int


@dataclass
class DatasetPlay:
    """One dataset; `play` runs it to its end. `dead_after` in ms, `guard` in bytes."""

    columns: Sequence[Column]
    troubles: Sequence[Trouble] = ()
    units: int = 3
    rows: int = 2
    limit: int = 2
    shared: bool = False
    guard: int | None = None
    dead_after: int = 20_000
    check: bool = True
    billed: list[Billed] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = SourcedWorld(gpus=0, cpus=1, check=self.check)
        models = sorted({column.model for column in self.columns})
        if self.shared:
            self.world.send(self._pool("endpoint", 1_000, None))
        self.world.send(*(self._pool(name, self.limit, "endpoint" if self.shared else None) for name in models))
        template = [
            call(column.model, after=column.after, completes=True, group=f"d/c{number}", on_dead="fail")
            for number, column in enumerate(self.columns)
        ]
        self.run: RunId = self.world.source(*template, bytes=self.guard, units=self.units)
        self._specs = [TaskSpec(node.request, driver="calls", on_dead="fail") for node in template]
        self._due: list[tuple[int, int, Event]] = []
        self._calls: Counter[str] = Counter()
        self._there: dict[str, int] = {}
        self._seen = 0
        self._arrivals = 0

    def play(self, *, most: int = 3_600_000, restarts: Sequence[int] = ()) -> None:
        """To the end, or for so long; the machine is thrown away and made anew at each of these times."""
        left = sorted(self.world.now + at for at in restarts)
        until = self.world.now + most
        self._carry_out()
        while not self.is_over and (then := self._next(left)) is not None and then <= until:
            self.world.now = then
            if left and left[0] == then:
                left.pop(0)
                self._restart()
            self.world.send(*self._arrived())
            self._carry_out()

    @property
    def is_over(self) -> bool:
        """Whether no unit and no task is to come."""
        return self.world.row_of(self.run).ended_at is not None

    def answered(self, *models: str) -> list[Billed]:
        """Calls of these models (none: of all) that were answered."""
        return [one for one in self.billed if one.status == 200 and (not models or one.model in models)]

    def states(self) -> dict[str, TaskState]:
        """How each cell stands, by key."""
        rows = (self.world.row(task) for task in self.world.rows.cells)
        return {str(row.key): row.state for row in rows}

    def _pool(self, name: str, limit: int, parent: str | None) -> PoolDeclared:
        above = None if parent is None else PoolName(parent)
        return PoolDeclared(PoolName(name), PoolKind.LIMIT, limit, above, dead_after=self.dead_after)

    def _next(self, restarts: Sequence[int]) -> int | None:
        times = [*restarts[:1], *(due[0] for due in self._due[:1])]
        if self.world.wake_at is not None:
            times.append(self.world.wake_at)
        return min(times, default=None)

    def _arrived(self) -> list[Event]:
        events = []
        while self._due and self._due[0][0] <= self.world.now:
            events.append(heappop(self._due)[2])
        return events

    def _restart(self) -> None:
        """The engine went: calls under way are lost, and nobody knows what became of them."""
        self._due.clear()
        lost = [self.world.exit_of(task, "lost", engine_lost=True) for task in self.world.running]
        self.world.restart()
        self.world.send(*lost)
        self._seen = min(self._seen, len(self.world.orders))

    def _carry_out(self) -> None:
        """Do what was ordered, and what that leads to at once."""
        while self._seen < len(self.world.orders):
            order = self.world.orders[self._seen]
            self._seen += 1
            if isinstance(order, Expand):
                tasks = self._part(order.unit, order.nodes or range(len(self.columns)))
                turn = self.world.expand(self.run, tasks, bytes=BYTES * len(tasks))
                added = [change.row for change in turn.changes if isinstance(change, TaskAdded)]
                self._there |= {str(row.key): row.id for row in added}
                self._guarded()
            elif isinstance(order, Start):
                self._call(order.task)

    def _part(self, unit: int, nodes: Iterable[int]) -> list[NewTask]:
        """The cells of these columns, each after those of its row that it comes after: here, or there already."""
        made: list[NewTask] = []
        here: dict[str, int] = {}
        for node in nodes:
            for row in range(self.rows):
                before = [f"{unit}:{row}:{other}" for other in self.columns[node].after]
                key, rank = f"{unit}:{row}:{node}", unit * self.rows + row
                after = tuple(Dependency(here.get(other) or self._there[other]) for other in before)
                made.append(NewTask(self._specs[node], key=key, index=len(made), rank=rank, after=after, node=node))
                here[key] = -len(made)
        return made

    def _guarded(self) -> None:
        source = self.world.machine.state.sources.get(self.run)
        if source is not None and self.guard is not None:
            most = self.guard + BYTES * self.rows * len(self.columns)
            assert source.bytes <= most, f"{source.bytes} bytes are kept, {most} may be"

    def _call(self, task: TaskId) -> None:
        row = self.world.row(task)
        column = self.columns[int(str(row.key).rpartition(":")[2])]
        self._only_probes_call_what_is_closed(task, column.model)
        self._calls[column.model] += 1
        status, wait = self._answer(column.model)
        self.billed.append(Billed(self.world.now, column.model, str(row.key), status))
        if status == 200:
            event = self.world.exit_of(task, "success")
        else:
            event = self.world.exit_of(
                task, "rate_limited", status=status, retry_after=wait, pool=PoolName(column.model)
            )
        self._arrivals += 1
        heappush(self._due, (self.world.now + LATENCY, self._arrivals, event))

    def _only_probes_call_what_is_closed(self, task: TaskId, model: str) -> None:
        pools = self.world.machine.state.pools
        for name in (model, "endpoint"):
            closure = pools[name].closure if name in pools else None
            if closure is not None and closure.gate is not Gate.OPEN:
                assert (closure.gate, closure.probe) == (Gate.HALF_OPEN, task), f"{task} calls {name}: {closure.gate}"

    def _answer(self, model: str) -> tuple[int, int | None]:
        now = self.world.now
        for one in self.troubles:
            during = one.begin <= now and (one.end is None or now < one.end)
            if one.model == model and during and not self._calls[model] % one.every:
                return one.status, one.retry_after
        return 200, None
