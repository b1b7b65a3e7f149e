"""The simulated box: the real machine, engine and store, a fake clock, fake drivers and devices, seeded faults.

Nothing here decides anything for the engine. `Simulation` drives turns by hand, so that a seed is one history; after
every turn the kernel's invariants are checked, and at the end that nothing acknowledged was lost, that no attempt ran
twice, that no task had two attempts at once and that no final state ever changed.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from passloop.clock import FakeClock
from passloop.drivers.base import Launch
from passloop.drivers.fake import FakeDriver, FakeWorld, Play
from passloop.engine.engine import Engine
from passloop.engine.errors import EngineError
from passloop.engine.settings import EngineSettings
from passloop.kernel import invariants
from passloop.kernel.events import DeviceSeen, DevicesSeen, Event, Foreign
from passloop.kernel.ids import AttemptId, TaskId
from passloop.kernel.tasks import FINAL_STATES, Outcome, OutcomeKind, TaskState
from passloop.store.database import Store
from passloop.store.home import Home
from tests.support.builders import seen
from tests.support.engines import HandAlarm

from .faults import Killed, failing

__all__ = ["Simulation"]

Result = TypeVar("Result")
GPUS = 4
MOST_TURNS = 3_000
ENDS = [
    *[OutcomeKind.SUCCESS] * 6, OutcomeKind.FAILURE, OutcomeKind.OUT_OF_MEMORY, OutcomeKind.LOST, OutcomeKind.TIMEOUT,
]  # fmt: skip


class Simulation:
    """One history. `random` is the only source of chance."""

    def __init__(self, path: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.home = Home(path / "home")
        self.home.prepare()
        self.clock = FakeClock()
        self.world = FakeWorld(self.clock, script=self._play)
        self.launched: Counter[AttemptId] = Counter()
        self.finals: dict[TaskId, TaskState] = {}
        self.acknowledged: set[TaskId] = set()
        self.devices = [seen(index) for index in range(GPUS)]
        self.deaths = self.pauses = 0
        self.healthy = False
        self.fault = ""

    async def open(self) -> None:
        """An engine on the home as it is, up to its first turn. It may die on the way."""
        self.store = Store.open(self.home)
        failing(self.store, self._next_fault)
        self.driver = FakeDriver(self.world)
        seeds = itertools.count(1)
        settings = EngineSettings(linger_ms=0, environ={"PASSLOOP_CPUS": "4"}, seed=lambda: next(seeds))
        self.engine = Engine(
            self.store, self.clock, {"processes": self.driver}, settings=settings, alarm=HandAlarm(self.clock)
        )
        await self.engine.recover()
        self.engine.inbox.put(DevicesSeen(tuple(self.devices)))

    async def close(self) -> None:
        """The engine is gone: its memory is, what it committed and what runs are not."""
        await self.engine.stop()
        self.store.close()

    async def settle(self) -> None:
        """Let the engine do all it can do now; if it dies, the next one goes on."""
        for _ in range(MOST_TURNS):
            try:
                if not await self._turn():
                    return
            except Killed:
                self.deaths += 1
                self.fault = ""
                await self.close()
                await self.open()
        raise AssertionError("the engine does not come to rest")

    async def _turn(self) -> bool:
        self.driver.catch_up()
        done = await self.engine.turns.step()
        pause = self.engine.turns.pause
        if pause is not None and self.fault != "full":
            self.clock.advance(max(0, pause.retry_at - self.clock.now()))
            return True
        if done:
            invariants.check(self.engine.turns.machine, self.clock.now())
            self._check_outside()
        return done

    async def ask(self, work: Coroutine[Any, Any, Result]) -> Result | None:
        """Let a client ask for something while turns are made; None if it was refused or the engine died."""
        asking = asyncio.ensure_future(work)
        await asyncio.sleep(0)
        engine = self.engine
        while not asking.done():
            await self.settle()
            if self.engine is not engine:
                break
            woken = asyncio.ensure_future(engine.inbox.wake.wait())
            await asyncio.wait({asking, woken}, return_when=asyncio.FIRST_COMPLETED)
            woken.cancel()
        if not asking.done():
            asking.cancel()
        try:
            return await asking
        except (EngineError, asyncio.CancelledError):
            return None

    async def advance(self, millis: int) -> None:
        """Let time pass, from one thing that happens to the next."""
        until = self.clock.now() + millis
        while self.clock.now() < until:
            times = [until, self.world.next_change(), self.engine.turns.due_at()]
            due = min(time for time in times if time is not None)
            self.clock.advance(max(1, due - self.clock.now()))
            await self.settle()

    async def check_store(self) -> None:
        """Nothing acknowledged is lost, and no final state ever changes."""
        states = self.store.states_of(self.acknowledged)
        assert set(states) == self.acknowledged, "an acknowledged task is lost"
        for task, state in states.items():
            if task in self.finals:
                assert state is self.finals[task], f"task {task} was {self.finals[task]} and is {state}"
            elif state in FINAL_STATES:
                self.finals[task] = state

    async def heal(self) -> None:
        """From now on nothing goes wrong: no fault, all devices there, what was held is released."""
        self.healthy = True
        self.fault = ""
        self.devices = [seen(index) for index in range(GPUS)]
        self.tell(DevicesSeen(tuple(self.devices)))
        await self.settle()

    def tell(self, event: Event) -> None:
        """A fact for the inbox that nobody waits for."""
        self.engine.inbox.put(event)

    def change_a_device(self) -> None:
        """A stranger comes to a device, or all of them are as they should be."""
        index = self.random.randrange(GPUS)
        device = self.devices[index]
        foreign = () if device.foreign else (Foreign(pid=4_242, user="ann", name="train"),)
        self.devices[index] = replace(device, foreign=foreign)
        gone = self.random.random() < 0.2
        shown: list[DeviceSeen] = [one for one in self.devices if not gone or one.index != index]
        self.tell(DevicesSeen(tuple(shown)))

    def kill_an_attempt(self) -> None:
        """What stands over an attempt dies."""
        live = [attempt for attempt, act in self.world.acts.items() if not act.ended]
        if live:
            self.world.kill(self.random.choice(live))

    def _play(self, order: Launch) -> Play:
        self.launched[order.attempt] += 1
        chance = self.random.random()
        if chance < 0.05 and not self.healthy:
            return Play(refusal="a device is no longer free")
        kind = OutcomeKind.SUCCESS if self.healthy else self.random.choice(ENDS)
        hangs = chance > 0.95 and order.time_limit is not None
        return Play(
            duration=None if hangs else self.random.randrange(0, 20_000),
            outcome=Outcome(kind=kind, exit_code=0 if kind is OutcomeKind.SUCCESS else 1),
            start_after=self.random.choice([0, 0, 50]),
            stubborn=self.random.random() < 0.2,
            stray_for=self.random.choice([0, 0, 0, 3_000]),
        )

    def _next_fault(self) -> str:
        if self.fault == "full":
            self.pauses += 1
            return "full"
        fault, self.fault = self.fault, ""
        return fault

    def _check_outside(self) -> None:
        twice = [attempt for attempt, count in self.launched.items() if count > 1]
        assert not twice, f"attempts {twice} were launched twice"
        held = Counter(row.task for row in self.engine.attempts.rows() if row.state != "stray")
        assert all(count == 1 for count in held.values()), f"tasks with two attempts: {held}"
