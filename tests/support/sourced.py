"""A world with a source in it: templates in one line, units as the template says, and how far a source goes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from passloop.kernel.changes import Refusal, SourceAnswer, Turn
from passloop.kernel.events import Expanded, PoolKind, SourceDeclared
from passloop.kernel.ids import RunId
from passloop.kernel.instructions import Expand
from passloop.kernel.resources import Request, Variant
from passloop.kernel.source_rows import Part, ResidentGuard, SourcePlan, SourceRow, TemplateNode
from passloop.kernel.tasks import Dependency, NewTask, TaskSpec

from .builders import World, ask

__all__ = ["SourcedWorld", "call", "local"]


def call(
    model: str, *, after: Sequence[int] = (), completes: bool = False, group: str = "", on_dead: str = "", **needs: int
) -> TemplateNode:
    """A node that calls a model, as an endpoint's driver does: it takes nothing of the box."""
    variant = ask(**{model: 1, **needs})
    request = Request((variant,))
    return TemplateNode(request, "calls", tuple(after), completes=completes, group=group, on_dead=on_dead)


def local(*, after: Sequence[int] = (), completes: bool = False, cpus: int = 1) -> TemplateNode:
    """A node that needs nothing but CPUs."""
    return TemplateNode(Request((ask(cpus=cpus),)), after=tuple(after), completes=completes)


class SourcedWorld(World):
    """A world whose sources are expanded by hand, or by `grow` for as long as the machine asks."""

    def declare_models(self, *names: str, limit: int = 4, parent: str | None = None) -> None:
        """Limit pools of these names."""
        if parent is not None and parent not in self.oracle_names():
            self.declare(parent, PoolKind.LIMIT, 1_000)
        for name in names:
            self.declare(name, PoolKind.LIMIT, limit, parent=parent)

    def oracle_names(self) -> list[str]:
        """The pools that there are."""
        return [view.name for view in self.machine.pools(self.now)]

    def source(self, *template: TemplateNode, **words: Any) -> RunId:
        """Declare a source and give back its run; words of the plan and of the event."""
        answer = self.offer_source(*template, **words)
        assert isinstance(answer, SourceAnswer), answer
        return answer.run

    def offer_source(self, *template: TemplateNode, **words: Any) -> SourceAnswer | Refusal:
        """Declare a source and give back the answer, whatever it is. `bytes` and `resident` are the guard's."""
        guard = ResidentGuard(words.pop("bytes", None), words.pop("resident", None))
        about = {name: words.pop(name) for name in ("group", "priority", "refuse_impossible") if name in words}
        event = SourceDeclared("run", "test", SourcePlan(template, guard, **words), **about)
        answer = self.send(event).answers[0]
        assert isinstance(answer, SourceAnswer | Refusal)
        return answer

    def asked(self, run: int) -> list[int]:
        """The units asked for so far, in order."""
        return [order.unit for order in self.orders if isinstance(order, Expand) and order.source == run]

    def row_of(self, run: int) -> SourceRow:
        """The source as stored."""
        return self.rows.sources[run]

    def asked_parts(self, run: int) -> list[Part]:
        """What was asked for so far, in order."""
        orders = [order for order in self.orders if isinstance(order, Expand) and order.source == run]
        return [Part(order.unit, order.nodes) for order in orders]

    def part_of(self, run: int) -> Part:
        """What is outstanding."""
        part = self.row_of(run).asked
        assert part is not None, self.row_of(run)
        return part

    def is_asked(self, run: int) -> bool:
        """Whether a unit is outstanding."""
        return self.row_of(run).state == "asked"

    def expand(self, run: RunId, tasks: Iterable[NewTask] | None = None, **words: Any) -> Turn:
        """Answer what is asked; with one task for each node that is asked for unless told."""
        part = self.row_of(run).asked or Part(self.row_of(run).unit)
        given = self.unit(run) if tasks is None else tuple(tasks)
        known = self.rows.known_for(need for task in given for need in task.after if need.task in self.rows.tasks)
        words = {"source": run, "unit": part.unit, "nodes": part.nodes, "tasks": given, "known": known} | words
        return self.send(Expanded(**words))

    def unit(self, run: int) -> tuple[NewTask, ...]:
        """One task for each node that is asked for, after those that the template says: of the unit, or before."""
        template, part = self.rows.plans[run].template, self.part_of(run)
        there = {cell.node: task for task, cell in self.rows.cells.items() if self._is_of(task, run, part.unit)}
        made: list[NewTask] = []
        for number in part.nodes or range(len(template)):
            node = template[number]
            after = tuple(Dependency(there[before]) for before in node.after if before in there)
            spec = TaskSpec(node.request, node.driver, on_dead=node.on_dead)
            made.append(NewTask(spec, index=part.unit, after=after, node=number))
            there[number] = -len(made)
        return tuple(made)

    def _is_of(self, task: int, run: int, unit: int) -> bool:
        return self.rows.tasks[task].run == run and self.rows.cells[task].unit == unit

    def grow(self, run: RunId, *, most: int = 200, **words: Any) -> int:
        """Expand for as long as it is asked, at most so often; gives how many units came."""
        for count in range(most):
            if not self.is_asked(run):
                return count
            self.expand(run, **words)
        return most

    def cool(self, pool: str, *, millis: int = 60_000, other: Variant | None = None) -> None:
        """Somebody else's call closes a pool for so long."""
        task = self.submit(other or ask(**{pool: 1}), driver="calls", priority=9)
        self.end(task, "rate_limited", status=429, retry_after=millis, pool=pool)
        self.cancel(task)
