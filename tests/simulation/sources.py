"""Sources as users declare them, and the expander that writes out their units: a function of source and unit, but for
what the seed makes it do wrong. It decides nothing for the machine.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

from passloop.engine.expanding import ExpandAsk, Expansion
from passloop.kernel.events import SourceDeclared
from passloop.kernel.resources import Request, Variant
from passloop.kernel.source_rows import ResidentGuard, SourcePlan, TemplateNode
from passloop.kernel.tasks import Dependency, NewTask, RetryBudgets, TaskSpec
from passloop.store.reader import Reader
from tests.support.builders import ask

from .loop import SimulatedLoop

__all__ = ["KIND", "UnitWriter", "parted_source_by", "source_by"]

KIND = "scripted"
ENOUGH = 6
"""How many units a source without a number of units has, once all is well."""
MIB = 1 << 20
GUARDS = (ResidentGuard(), ResidentGuard(units=2), ResidentGuard(bytes=3 * MIB), ResidentGuard(bytes=6 * MIB))
"""Under the latter two a unit may come in parts."""
DELAYS = (0, 0, 1, 20, 4_000)
"""How long (ms) a unit takes to be written out."""


def _node(*variants: Variant, after: tuple[int, ...] = (), completes: bool = False, driver: str = "") -> TemplateNode:
    calls = any(name in ("chat", "code", "provider") for variant in variants for name, _ in variant.amounts)
    return TemplateNode(Request(variants), driver or ("calls" if calls else "processes"), after, completes)


TEMPLATES: tuple[tuple[TemplateNode, ...], ...] = (
    (_node(ask(chat=1), completes=True),),
    (_node(ask(cpus=1)), _node(ask(chat=1), after=(0,)), _node(ask(code=1, tokens=20), after=(1,), completes=True)),
    (_node(ask(chat=1)), _node(ask(code=1)), _node(ask(cpus=1), after=(0, 1), completes=True)),
    (_node(ask(gpus=1), completes=True, driver="workers"),),
    (_node(ask(share=0.5), ask(cpus=4), driver="workers"), _node(ask(chat=1, tokens=30), after=(0,), completes=True)),
    (_node(ask(gpus=2, memory=4_000), completes=True), _node(ask(cpus=1), after=(0,), completes=True)),
)  # fmt: skip
ON_DEVICES = (3, 5)
"""The templates that call nobody and share no device."""
IN_PARTS = (1, 2)
"""The templates of which one model may stand still while others go on."""


def source_by(chance: random.Random, *, group: str, devices_only: bool) -> SourceDeclared:
    """A source as users declare them."""
    number = chance.choice(ON_DEVICES) if devices_only else chance.randrange(len(TEMPLATES))
    plan = SourcePlan(
        template=TEMPLATES[number],
        guard=chance.choice(GUARDS),
        ahead=chance.choice([0, 1, 2, 2]),
        units=chance.choice([None, 2, 5]),
    )
    priority = chance.choice([0, 0, 0, 5])
    return SourceDeclared("source", KIND, plan, group, priority, refuse_impossible=False, spec=str(number))


def parted_source_by(chance: random.Random, *, group: str) -> SourceDeclared:
    """A source whose memory is soon short, so that its units come in parts where a model stands still."""
    number = chance.choice(IN_PARTS)
    guard = ResidentGuard(bytes=chance.choice([3 * MIB, 6 * MIB]))
    plan = SourcePlan(template=TEMPLATES[number], guard=guard, units=chance.choice([5, 12]))
    return SourceDeclared("source", KIND, plan, group, refuse_impossible=False, spec=str(number))


class UnitWriter:
    """The expander of one home, whichever engine asks. `healthy` once nothing is wrong any more."""

    def __init__(self, loop: SimulatedLoop, chance: random.Random) -> None:
        self.healthy = False
        self._loop = loop
        self._chance = chance
        self._asked: set[tuple[int, int]] = set()

    async def expand(self, ask: ExpandAsk) -> Expansion:
        """The unit, after a while; or nothing now, or no unit ever more, or an error."""
        over = asyncio.Event()
        self._loop.call_after(self._chance.choice(DELAYS), over.set)
        await over.wait()
        first = (ask.run, ask.unit) not in self._asked
        self._asked.add((ask.run, ask.unit))
        if self.healthy:
            return Expansion(exhausted=True) if ask.unit >= ENOUGH else await self._unit(ask)
        what = self._chance.random()
        if what < 0.05:
            raise OSError("the row group cannot be read")
        if what < 0.15 and first and not ask.begun:
            return Expansion(rest=True)
        return await self._unit(ask)

    async def _unit(self, ask: ExpandAsk) -> Expansion:
        """What is wanted of a unit, of which all is made, so that it is the same in however many parts it comes."""
        chance = random.Random(f"{ask.spec} {ask.run} {ask.unit}")
        places: list[_Place] = []
        for _row in range(chance.choice([1, 1, 2, 4])):
            places += _row_of(TEMPLATES[int(ask.spec)], chance, first=len(places))
        if chance.random() < 0.05:
            places = []
        wanted = [place for place in places if ask.wants(place.node)]
        there = await ask.read(partial(_there, ask=ask)) if ask.begun else {}
        size = chance.choice([0, MIB, 5 * MIB]) * len(wanted) // max(1, len(places))
        return Expansion(tuple(_tasks(wanted, there, ask)), bytes=size, exhausted=chance.random() < 0.05)


class _Place(NamedTuple):
    """A task of a unit: its place there, and the places of those that it comes after."""

    number: int
    node: int
    spec: TaskSpec
    after: tuple[int, ...]


def _row_of(template: tuple[TemplateNode, ...], chance: random.Random, *, first: int) -> list[_Place]:
    """One task for each node, each after those that its node comes after; the last node may have none.

    `first` is how many tasks the unit has before this row.
    """
    made: list[_Place] = []
    for number, node in enumerate(template):
        if number and number == len(template) - 1 and chance.random() < 0.2:
            continue
        after = tuple(first + before for before in node.after)
        made.append(_Place(first + len(made), number, _spec_of(node, chance), after))
    return made


def _there(reader: Reader, *, ask: ExpandAsk) -> dict[int, int]:
    """The tasks of a unit that came with earlier parts, by place."""
    found = (reader.task(task) for task in reader.unit_tasks(ask.run, ask.unit))
    return {view.row.index: view.row.id for view in found if view is not None}


def _tasks(wanted: Sequence[_Place], there: dict[int, int], ask: ExpandAsk) -> Iterator[NewTask]:
    known = there | {place.number: -1 - position for position, place in enumerate(wanted)}
    for number, node, spec, before in wanted:
        after = tuple(Dependency(known[place]) for place in before if place in known)
        yield NewTask(spec, '{"quick": true}', index=number, rank=ask.unit, after=after, node=node)


def _spec_of(node: TemplateNode, chance: random.Random) -> TaskSpec:
    return TaskSpec(
        node.request,
        driver=node.driver,
        retries=RetryBudgets(failure=chance.choice([0, 1]), timeout=1),
        time_limit=chance.choice([None, 30_000]),
        grace=chance.choice([0, 1_000]),
        task_class="cells",
        warm_key=chance.choice(["small", "large"]) if node.driver == "workers" else None,
        on_dead=chance.choice(["", "wait", "fail"]),
    )
