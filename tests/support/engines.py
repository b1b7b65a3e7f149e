"""Engines for tests: real machine, real store, scripted driver, fake clock. Built and closed by one line."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from passloop.clock import FakeClock
from passloop.devices.base import Inventory
from passloop.devices.locks import DeviceLocks
from passloop.engine.attempts import Attempts
from passloop.engine.device_desk import DeviceDesk
from passloop.engine.engine import Engine
from passloop.engine.settings import EngineSettings
from passloop.kernel import invariants
from passloop.kernel.events import Held, Submitted
from passloop.kernel.tasks import NewTask, TaskSpec
from passloop.store.database import Store
from passloop.store.home import Home

from .builders import ask, spec_of
from .scripted import Outside, ScriptedDriver

__all__ = ["HandAlarm", "Rig", "commands", "one_cpu", "rig"]

ENVIRON = {"PASSLOOP_CPUS": "2"}


def one_cpu(**rest: object) -> TaskSpec:
    """A spec that asks for one CPU."""
    return spec_of(ask(cpus=1), **rest)  # type: ignore[arg-type]


def commands(count: int = 1, *, spec: TaskSpec | None = None, name: str = "run", **rest: object) -> Submitted:
    """A submission of `count` equal tasks; `rest` goes to each task."""
    spec = spec or one_cpu()
    payload = '{"command":["true"],"cwd":"/","environment":"e1"}'
    tasks = tuple(NewTask(spec=spec, payload=payload, index=i, **rest) for i in range(count))  # type: ignore[arg-type]
    return Submitted(name=name, tasks=tasks)


class HandAlarm:
    """An alarm that rings when a test moves the clock."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.at: int | None = None
        self._ring: Callable[[], None] | None = None
        self._next_set: asyncio.Future[None] | None = None

    def set(self, at: int | None, ring: Callable[[], None]) -> None:
        self.at, self._ring = at, ring
        if self._next_set is not None:
            self._next_set.set_result(None)
            self._next_set = None
        self.ring_if_due()

    async def next_set(self) -> None:
        """Wait until the engine goes to sleep the next time, which it does after each turn."""
        if self._next_set is None:
            self._next_set = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._next_set)

    def ring_if_due(self) -> None:
        """Ring if the clock has reached the time."""
        if self.at is not None and self.at <= self.clock.now() and self._ring is not None:
            self.at = None
            self._ring()

    def advance(self, millis: int) -> None:
        """Move the clock and ring."""
        self.clock.advance(millis)
        self.ring_if_due()


class Rig:
    """One engine and everything around it that outlives it."""

    def __init__(self, path: Path, *, cpus: int = 2) -> None:
        self.home = Home(path / "home")
        self.home.prepare()
        self.clock = FakeClock()
        self.outside = Outside()
        self.environ = {"PASSLOOP_CPUS": str(cpus)}
        self.engines = 0

    def open(
        self, *, slow: bool = False, inventory: Inventory | None = None, locks: DeviceLocks | None = None
    ) -> Engine:
        """A new engine on the same home; the last one's death costs it nothing but its memory.

        With an `inventory` it has devices, and looks at those that somebody waits for every few ms.
        """
        self.engines += 1
        self.store = Store.open(self.home)
        self.driver = ScriptedDriver(self.outside, slow=slow)
        self.alarm = HandAlarm(self.clock)
        seeds = itertools.count(1)
        settings = EngineSettings(linger_ms=0, environ=self.environ, seed=lambda: next(seeds))
        attempts = Attempts()
        desk = None
        if inventory is not None:
            desk = DeviceDesk(inventory, locks, attempts=attempts, clock=self.clock, watch_ms=5)
        self.engine = Engine(
            self.store,
            self.clock,
            {"processes": self.driver},
            desk=desk,
            attempts=attempts,
            settings=settings,
            alarm=self.alarm,
        )
        return self.engine

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until this is so; it is looked at after each turn, and at no other time."""
        async with asyncio.timeout(20):
            while not condition():
                await self.alarm.next_set()

    async def heard(self) -> None:
        """Wait until everything reported so far is committed, and what drivers said to what that led to.

        An event that asks nothing is behind all others.
        """
        await self.engine.send(Held(()))
        await self.engine.send(Held(()))

    async def close(self) -> None:
        """Stop the engine and close its store; what runs outside goes on."""
        await self.engine.stop()
        self.store.close()

    async def kill(self) -> None:
        """The engine dies between two turns: nothing of it is told anybody, no last turn is taken."""
        if self.engine._turning is not None:
            self.engine._turning.cancel()
        self.engine._turning = None
        await self.engine.stop()
        self.store.close()

    async def settle(self, *, most: int = 200) -> int:
        """For an engine that was only recovered: take turns until there is nothing to do; returns how many."""
        for count in range(most):
            if not await self.engine.turns.step():
                return count
            invariants.check(self.engine.turns.machine, self.clock.now())
        raise AssertionError(f"still busy after {most} turns")


@asynccontextmanager
async def rig(path: Path, *, cpus: int = 2, slow: bool = False) -> AsyncIterator[Rig]:
    """A started engine in `path`, stopped at the end."""
    made = Rig(path, cpus=cpus)
    await made.open(slow=slow).start()
    try:
        yield made
    finally:
        await made.close()
