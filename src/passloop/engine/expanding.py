"""Writes out units of sources: calls the app's expander off the turn and reports what it made. Decides nothing.

What an expander returns or raises becomes an event in the inbox, so that a unit's tasks and the word that it is written
out are one commit. A want that passes says nothing of the unit, which is asked for again a little later. An expander
that is slow delays its own source alone. After a restart the units that were asked for and not answered are asked for
again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, TypeVar

from passloop.drivers import descriptors
from passloop.kernel.changes import Change, SourceAdded, SourceChanged
from passloop.kernel.events import Event, Expanded, ExpansionFailed
from passloop.kernel.ids import RunId
from passloop.kernel.instructions import Expand
from passloop.kernel.saved import Saved
from passloop.kernel.source_rows import SourceState
from passloop.kernel.tasks import NewTask
from passloop.store.reader import Reader

from .reading import Reading

__all__ = ["Environments", "ExpandAsk", "Expander", "Expansion", "Expansions", "in_thread"]

Result = TypeVar("Result")
Environments = tuple[tuple[str, str], ...]
"""Environments that come with tasks: (id, JSON text)."""


@dataclass(frozen=True, slots=True)
class ExpandAsk:
    """A unit to write out. `spec` is the JSON text that the source was declared with, `unit_spec` that of the unit, if
    it was declared with one of its own.

    With `nodes` only the tasks of these nodes of the template are wanted; the others' come another time. Those that
    they come after are among them, or are committed; so is some of a unit that has `begun`.
    """

    run: RunId
    unit: int
    spec: str
    reading: Reading
    nodes: tuple[int, ...] = ()
    begun: bool = False
    unit_spec: str | None = None

    def wants(self, node: int) -> bool:
        """Whether the tasks of this node are wanted."""
        return not self.nodes or node in self.nodes

    async def read(self, question: Callable[[Reader], Result]) -> Result:
        """Ask the store's reading side, off the loop: what is committed of this run or of any other."""
        return await self.reading.run(question)


@dataclass(frozen=True, slots=True)
class Expansion:
    """A unit, or what is wanted of it, as an expander gives it; the fields are those of the event `Expanded`."""

    tasks: tuple[NewTask, ...] = ()
    bytes: int = 0
    exhausted: bool = False
    rest: bool = False
    environments: Environments = ()


class Expander(Protocol):
    """Writes out units of one kind of source. It is called on the loop and must not hold it up; see `in_thread`."""

    async def expand(self, ask: ExpandAsk) -> Expansion:
        """The unit's tasks: a function of `ask` and of what is committed, since it may be asked again after a crash.

        Whatever it raises ends the source with that message, but for a want that passes (`drivers/descriptors.py`).
        """
        ...


class _InThread:
    """An expander that runs a plain function in a thread."""

    def __init__(self, function: Callable[[ExpandAsk], Expansion]) -> None:
        self._function = function

    async def expand(self, ask: ExpandAsk) -> Expansion:
        return await asyncio.to_thread(self._function, ask)


def in_thread(function: Callable[[ExpandAsk], Expansion]) -> Expander:
    """An expander of a plain function that takes more than about a millisecond."""
    return _InThread(function)


class Report(Protocol):
    """Takes an event for the next turn."""

    def __call__(self, event: Event, *, environments: Environments = ()) -> None:
        """Take it."""
        ...


class Expansions:
    """The expanders of an engine, and the units that they are writing out. All is called on the loop thread."""

    def __init__(self, report: Report, reading: Reading) -> None:
        self._report = report
        self._reading = reading
        self._expanders: dict[str, Expander] = {}
        self._under_way: dict[RunId, asyncio.Task[None]] = {}

    def register(self, kind: str, expander: Expander) -> None:
        """Let this expander write out sources of this kind. Before the engine starts; twice is an error."""
        if kind in self._expanders:
            raise ValueError(f"there is an expander of kind {kind!r} already")
        self._expanders[kind] = expander

    async def start(self) -> None:
        """Nothing is asked before the first turn, or before `ask_again`."""

    async def stop(self) -> None:
        """Give up what is being written out; the next engine asks for it again."""
        tasks = list(self._under_way.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def ask_again(self, saved: Saved) -> None:
        """After a restart: the units that were asked for and are not there."""
        for source in saved.sources:
            row = source.row
            if row.asked is not None:
                begun = row.asked.unit < row.unit
                self._begin(Expand(row.run, row.kind, row.asked.unit, row.asked.nodes, begun))

    def follow(self, changes: Iterable[Change], instructions: Sequence[object]) -> None:
        """A turn is committed: give up units that nobody waits for any more, begin those asked for."""
        for change in changes:
            if isinstance(change, SourceAdded | SourceChanged) and change.row.state is not SourceState.ASKED:
                self._give_up(change.row.run)
        for order in instructions:
            if isinstance(order, Expand):
                self._begin(order)

    def _give_up(self, run: RunId) -> None:
        task = self._under_way.pop(run, None)
        if task is not None:
            task.cancel()

    def _begin(self, order: Expand) -> None:
        self._give_up(order.source)
        name = f"passloop-expand-{order.source}-{order.unit}"
        task = asyncio.get_running_loop().create_task(self._expand(order), name=name)
        self._under_way[order.source] = task
        task.add_done_callback(partial(self._ended, order.source))

    def _ended(self, run: RunId, task: asyncio.Task[None]) -> None:
        if self._under_way.get(run) is task:
            del self._under_way[run]

    async def _expand(self, order: Expand) -> None:
        """Report the unit, or why there is none: every end but a cancel is an event."""
        try:
            expansion = await self._written_out(order)
            event, environments = _event_of(order, expansion), expansion.environments
        except Exception as error:
            self._report(ExpansionFailed(order.source, order.unit, _words(error), order.nodes))
        else:
            self._report(event, environments=environments)

    async def _written_out(self, order: Expand) -> Expansion:
        """The unit, asked for again while nothing can be said of it; until then its source waits, or is cancelled."""
        expander = self._expanders.get(order.kind)
        if expander is None:
            raise LookupError(f"this engine has no expander for sources of kind {order.kind!r}")
        return await descriptors.patiently(partial(self._call, expander, order))

    async def _call(self, expander: Expander, order: Expand) -> Expansion:
        run, unit = order.source, order.unit
        source, own = await self._reading.run(lambda reader: (reader.source(run), reader.unit_spec(run, unit)))
        if source is None:
            raise LookupError(f"the store has no source of run {run}")
        ask = ExpandAsk(run, unit, source.spec, self._reading, order.nodes, order.begun, own)
        return await expander.expand(ask)


def _event_of(order: Expand, expansion: Expansion) -> Expanded:
    """What an expander made, as the machine is told; whatever is no expansion raises."""
    return Expanded(
        source=order.source,
        unit=order.unit,
        tasks=tuple(expansion.tasks),
        bytes=expansion.bytes,
        exhausted=expansion.exhausted,
        rest=expansion.rest,
        nodes=order.nodes,
    )


def _words(error: Exception) -> str:
    """What an error says, or what it is if it says nothing."""
    return str(error) or type(error).__name__
