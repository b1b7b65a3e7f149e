"""A scripted expander: units written down beforehand, gates that hold them back, and what was asked, in order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from passloop.engine.expanding import ExpandAsk, Expansion
from passloop.kernel.tasks import NewTask, TaskSpec

from .engines import one_cpu

__all__ = ["PAYLOAD", "ScriptedExpander", "unit_of"]

PAYLOAD = '{"command":["true"],"cwd":"/","environment":"e1"}'


def unit_of(count: int, *, spec: TaskSpec | None = None, first: int = 0, key: str | None = None) -> tuple[NewTask, ...]:
    """`count` equal tasks with indexes from `first` on; with `key` each has one of its own."""
    spec = spec or one_cpu()
    return tuple(
        NewTask(spec=spec, payload=PAYLOAD, index=first + n, key=None if key is None else f"{key}-{n}")
        for n in range(count)
    )


class ScriptedExpander:
    """Gives what `script` says of a unit: an expansion, or an error to raise.

    `asked` lists the units in the order in which they were asked for. While `gate` is cleared nothing is given.
    """

    def __init__(self, script: Callable[[ExpandAsk], Expansion | Exception]) -> None:
        self.script = script
        self.asked: list[int] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.begun = asyncio.Event()

    async def expand(self, ask: ExpandAsk) -> Expansion:
        """The unit by the script, once the gate is open."""
        self.asked.append(ask.unit)
        self.begun.set()
        await self.gate.wait()
        given = self.script(ask)
        if isinstance(given, Exception):
            raise given
        return given
