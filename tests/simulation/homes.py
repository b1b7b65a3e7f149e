"""One simulated home: its store on a memory disk, its processes, its witness, and the engine that lives in it now.

The machine, the turns, recovery, dispatch, the pause, the gate and the store are the real ones. Simulated are the
clock, the drivers, the devices and the disk's mood. Nothing here decides anything for the engine.
"""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from passloop.clock import FakeClock, SystemClock
from passloop.devices.locks import DeviceLocks, OtherHome
from passloop.engine.attempts import Attempts
from passloop.engine.backups import Backups
from passloop.engine.engine import Engine
from passloop.engine.errors import EngineError
from passloop.engine.settings import EngineSettings
from passloop.store.database import Batch, Store
from passloop.store.errors import StoreBusy, StoreFull
from passloop.store.home import Home

from .devices import Desk, Devices, HomeView
from .endpoints import Endpoints
from .loop import Killed, Life, SimulatedLoop, living
from .processes import Driver, Processes
from .sources import KIND, UnitWriter
from .warm_driver import WarmDriver
from .witness import Witness

__all__ = ["Box", "SimulatedHome"]

Result = TypeVar("Result")
ENVIRON = {"PASSLOOP_CPUS": "6", "PASSLOOP_MEMORY": "16GiB"}
BALLAST_BYTES = 4_096
"""Whether the disk is full is the simulation's to say, so a real ballast would only cost time."""


class Box:
    """What all homes share: the clock, chance, devices, endpoints, the folder of locks, and who wakes the story."""

    def __init__(self, loop: SimulatedLoop, chance: random.Random, path: Path, *, gpus: int, homes: int) -> None:
        self.loop = loop
        self.clock: FakeClock = loop.clock
        self.chance = chance
        self.path = path
        self.devices = Devices(self.clock, gpus)
        self.endpoints = Endpoints(self.clock, chance)
        self.alone = homes == 1
        self.deaths: list[str] = []
        self._woken: asyncio.Future[None] | None = None
        self.homes = [SimulatedHome(self, number) for number in range(homes)]

    def wake(self) -> None:
        """Something happened that the story must look at."""
        if self._woken is not None and not self._woken.done():
            self._woken.set_result(None)

    async def rest(self, millis: int) -> None:
        """Let so much time pass, or less if an engine dies."""
        self._woken = self.loop.create_future()
        timer = self.loop.call_after(millis, self.wake)
        await self._woken
        timer.cancel()
        self.raise_failure()

    def raise_failure(self) -> None:
        """Raise what went wrong where nobody caught it."""
        if self.loop.failure is not None:
            raise self.loop.failure

    def died(self, life: Life) -> None:
        """An engine is dead."""
        self.deaths.append(life.killed_at or "between events")
        self.wake()


class StillBackups(Backups):
    """Copies nothing: they go by the age of a real file."""

    async def start(self) -> None:
        """Nothing is due."""

    def note(self) -> None:
        """Nothing is due."""


class Locks(DeviceLocks):
    """The real locks; those of processes that are gone by now are gone, too."""

    reap: Callable[[], None]

    def take(self, uuid: str) -> int | None:
        """Lock the device for one more lease of this home."""
        self.reap()
        return super().take(uuid)

    def taken_elsewhere(self, uuid: str) -> OtherHome | None:
        """The other home that has the device now, if any."""
        self.reap()
        return super().taken_elsewhere(uuid)


class WatchedEngine(Engine):
    """Calls `watch` after each turn and `stalled` before one in a pause; what goes wrong in a turn stops the story."""

    watch: Callable[[], None]
    stalled: Callable[[], None]
    failed: Callable[[BaseException], None]

    async def recover(self) -> None:
        """Everything up to the first turn."""
        await super().recover()
        step = self.turns.step

        async def watched() -> bool:
            try:
                if self.turns.pause is not None:
                    self.stalled()
                done = await step()
                if done:
                    self.watch()
            except Exception as error:
                self.failed(error)
                raise
            return done

        self.turns.step = watched  # type: ignore[method-assign]


class SimulatedHome:
    """See above. `disk` is how its disk is: "", "full", "leaky" (some writes go); for one commit "error" or "busy"."""

    def __init__(self, box: Box, number: int) -> None:
        self.box = box
        self.number = number
        self.home = Home(box.path / f"home{number}")
        self.home.prepare()
        self.processes = Processes(number, box.clock, box.chance, box.devices, box.endpoints)
        self.witness = Witness(self.processes)
        self.writer = UnitWriter(box.loop, box.chance)
        self.view = HomeView(box.devices, number)
        self.watch: Callable[[SimulatedHome], None] = lambda _home: None
        self.disk = ""
        self.runs_full = False
        self.pauses = self.looked_at = self.calm_since = 0
        self.clients: list[asyncio.Task[Any]] = []
        self.engine: WatchedEngine | None = None
        self.life = Life(lambda: None)
        self.life.dead = True

    def fill(self, *, disk: str = "", runs: bool = False) -> None:
        """The disk is like this from now on. A folder in place of the engine's probe lets that find no room."""
        self.disk, self.runs_full = disk, runs
        probe = self.home.runs / ".room"
        if disk == "full" or runs:
            probe.mkdir(parents=True, exist_ok=True)
        elif probe.is_dir():
            probe.rmdir()

    @property
    def alive(self) -> bool:
        """Whether an engine is there that has started and has not died."""
        return self.engine is not None and not self.life.dead

    def check_live(self) -> None:
        """Hold the engine to what it must have done by now, if it could write."""
        if not self.alive or self.disk or self.runs_full or self.engine is None or self.engine.turns.pause is not None:
            self._stalled()
        else:
            self.witness.check_live(self.calm_since)

    def _stalled(self) -> None:
        self.calm_since = self.box.clock.now()

    def is_busy(self) -> bool:
        """Whether anything is not over: tasks, attempts, sources."""
        witness = self.witness
        return bool(witness.unfinished() or witness.attempts or witness.sources.unfinished())

    def is_draining(self) -> bool:
        """Whether the engine was told to claim no more."""
        return self.engine is None or self.engine.turns.machine.state.draining

    async def open(self) -> None:
        """Start an engine on the home as it is. It may die on the way."""
        await self.close()
        life = Life(lambda: self.box.died(life))
        self.life = life
        context = contextvars.copy_context()
        context.run(living.set, life)
        starting = self.box.loop.create_task(self._start(life), context=context)
        while not life.dead and not starting.done():
            starting.add_done_callback(lambda _task: self.box.wake())
            await self.box.rest(600_000)
        if starting.done() and not starting.cancelled():
            error = starting.exception()
            if error is not None and not isinstance(error, Killed):
                raise error
        self._stalled()

    async def close(self) -> None:
        """Whatever is left of the last engine's process is gone: its memory, its descriptors, its connections."""
        self.life.dead = True
        for task in (*self.clients, *self.life.tasks):
            task.cancel()
        for _ in range(3):
            await asyncio.sleep(0)
        self.clients = []
        engine, self.engine = self.engine, None
        if engine is not None:
            engine.reading.close()
            engine.writer.close()
            engine.store.close()
            if self.locks is not None:
                self.locks.close()

    async def go_down(self) -> None:
        """The engine ends as it is asked to; what runs goes on."""
        assert self.engine is not None
        engine = self.engine
        stopping = self.box.loop.create_task(engine.stop())
        self.clients.append(stopping)
        stopping.add_done_callback(lambda _task: self.box.wake())
        while not stopping.done() and not self.life.dead:
            await self.box.rest(600_000)
        if stopping.done() and not stopping.cancelled():
            error = stopping.exception()
            if error is not None and not isinstance(error, Killed | EngineError):
                raise error
        self.life.dead = True

    def ask(self, work: Callable[[Engine], Coroutine[Any, Any, Result]], told: Callable[[Result], None]) -> None:
        """A client asks for something; `told` is called when it is answered, and never for a refusal."""
        if self.engine is None or self.life.dead:
            return
        self.clients = [task for task in self.clients if not task.done()]
        self.clients.append(self.box.loop.create_task(self._asked(work, told, self.engine)))

    async def _asked(
        self, work: Callable[[Engine], Coroutine[Any, Any, Result]], told: Callable[[Result], None], engine: Engine
    ) -> None:
        life = self.life
        try:
            answer = await work(engine)
        except EngineError:
            return
        if not life.dead:
            told(answer)

    async def _start(self, life: Life) -> None:
        box, chance = self.box, self.box.chance
        store = Store.open(self.home)
        self.locks = None if box.alone else Locks(f"home{self.number}", box.path / "locks")
        if self.locks is not None:
            self.locks.reap = self._reap
        clock = SystemClock(
            not_before=store.last_now,
            wall_ns=lambda: box.clock.wall() * 1_000_000,
            monotonic_ns=lambda: box.clock.now() * 1_000_000,
        )
        attempts = Attempts()
        desk = Desk(self.view, self.locks, attempts=attempts, clock=clock, watch_ms=30_000)
        self.drivers = {name: Driver(self.processes, life, box.loop, name=name) for name in ("processes", "calls")}
        self.drivers["workers"] = WarmDriver(self.processes, life, box.loop)
        self.drivers["processes"].no_room = lambda: self.runs_full
        settings = EngineSettings(
            linger_ms=chance.choice([0, 4]),
            environ=ENVIRON,
            seed=lambda: chance.getrandbits(31),
            ballast_bytes=BALLAST_BYTES,
        )
        engine = WatchedEngine(store, clock, self.drivers, desk=desk, attempts=attempts, settings=settings)
        engine.backups = StillBackups(store, clock)
        engine.expansions.register(KIND, self.writer)
        engine.watch = lambda: self.watch(self)
        engine.stalled = self._stalled
        engine.failed = self._failed
        self.engine = engine
        self.view.ours = desk.holdings
        self.processes.descriptors = desk.descriptors
        self._moody(store, life)
        await engine.start()

    def _failed(self, error: BaseException) -> None:
        if self.box.loop.failure is None:
            self.box.loop.failure = error
        self.box.wake()

    def _reap(self) -> None:
        for home in self.box.homes:
            home.processes.reap()

    def _moody(self, store: Store, life: Life) -> None:
        """Let commits fail as the disk is, and show the witness those that did not."""
        commit = store.commit

        def commit_or_fail(batch: Batch) -> int:
            life.reach("commit, before")
            disk = self.disk
            if disk in ("error", "busy"):
                self.disk = ""
            if disk == "busy":
                raise StoreBusy("locked, says the simulation", hint="wait")
            if disk in ("full", "error") or (disk == "leaky" and self.box.chance.random() < 0.5):
                self.pauses += 1
                raise StoreFull("the disk is full, says the simulation", hint="free space")
            try:
                seq = commit(batch)
            except Killed:
                if life.killed_at == "after_commit":
                    self._durable(batch)
                raise
            self.witness.take(batch)
            return seq

        store.commit = commit_or_fail  # type: ignore[method-assign]

    def _durable(self, batch: Batch) -> None:
        """A batch is durable, and its engine dead."""
        try:
            self.witness.take(batch)
        except AssertionError as broken:
            self._failed(broken)

    def look_outside(self) -> None:
        """Something was done to attempts from outside: the drivers hear of it."""
        if self.alive:
            for driver in self.drivers.values():
                driver.catch_up()
