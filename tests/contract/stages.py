"""Where the contract suite plays: one stage per driver, each offering the same few plays.

A stage knows how its driver makes an attempt that succeeds, fails, waits until it is stopped, or is stubborn, and how
its kind of time passes. The plays a driver cannot have are left out of `offers`.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

from passloop.clock import FakeClock
from passloop.drivers.base import Driver, Launch
from passloop.drivers.fake import FakeDriver, FakeWorld, Play
from passloop.drivers.identity import boot_id, ticks_of
from passloop.drivers.leases import LeaseDriver
from passloop.drivers.workers.driver import WorkerDriver
from passloop.kernel.events import Event, Exited, Started
from passloop.kernel.tasks import Outcome, OutcomeKind
from passloop.testing.endpoint import FaultyEndpoint
from passloop.testing.script import Fault, ModelScript, Script
from tests.support.attempts import Heard, Lifeline, Stage, live_of, order_for, tree_command
from tests.support.calls import CallStand
from tests.support.warm import call_of, call_order

GRACE = 200
LIMIT = 300

Kind = TypeVar("Kind", bound=Event)


class ContractStage(Protocol):
    """One driver and its way to play."""

    offers: frozenset[str]

    @property
    def driver(self) -> Driver: ...

    @property
    def heard(self) -> Heard: ...

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    def launch(self, play: str, attempt: int = 1, *, time_limit: int | None = None) -> Launch:
        """Launch an attempt that goes like `play`."""
        ...

    async def ready(self, attempt: int = 1) -> None:
        """Wait until the attempt's processes are all there."""
        ...

    async def until(self, kind: type[Kind], attempt: int = 1) -> Kind: ...

    def kill(self, attempt: int = 1) -> None:
        """Kill -9 what stands over the attempt."""
        ...

    async def renew(self, *attempts: int, state: str = "running") -> None:
        """The engine dies; the next one reattaches these attempts."""
        ...


class ProcessStage:
    """The process driver with real processes."""

    offers = frozenset({"fails", "stubborn", "time_limit", "lost", "commands", "outlives"})

    def __init__(self, home: Path) -> None:
        self._stage = Stage(home)
        self._lifelines: dict[int, Lifeline] = {}

    @property
    def driver(self) -> Driver:
        return self._stage.driver

    @property
    def heard(self) -> Heard:
        return self._stage.heard

    async def open(self) -> None:
        await self._stage.__aenter__()

    async def close(self) -> None:
        await self._stage.__aexit__(None, None, None)

    def launch(self, play: str, attempt: int = 1, *, time_limit: int | None = None) -> Launch:
        lifeline = self._lifelines[attempt] = self._stage.lifeline()
        command = {
            "succeeds": ["true"],
            "fails": ["sh", "-c", "exit 3"],
            "waits": tree_command("double_fork", lifeline),
            "stubborn": tree_command("stubborn", lifeline),
        }[play]
        return self._stage.launch(command, attempt, time_limit=time_limit, grace=GRACE)

    async def ready(self, attempt: int = 1) -> None:
        await self._lifelines[attempt].until(2)

    async def until(self, kind: type[Kind], attempt: int = 1) -> Kind:
        return await self.heard.until(kind, attempt)

    def kill(self, attempt: int = 1) -> None:
        started = self.heard.find(Started, attempt)
        assert started is not None
        os.kill(json.loads(started.process)["pid"], signal.SIGKILL)

    async def renew(self, *attempts: int, state: str = "running") -> None:
        await self._stage.renew()
        await self._stage.reattach(*attempts, state=state)


class FakeStage:
    """The scripted driver, with a clock that jumps to the next thing."""

    offers = frozenset({"fails", "stubborn", "time_limit", "lost", "outlives"})
    _plays: ClassVar = {
        "succeeds": Play(duration=10),
        "fails": Play(duration=10, outcome=Outcome(OutcomeKind.FAILURE, exit_code=3)),
        "waits": Play(duration=None),
        "stubborn": Play(duration=None, stubborn=True),
    }

    def __init__(self, home: Path) -> None:
        self._home = home
        self._clock = FakeClock()
        self.world = FakeWorld(self._clock, lambda order: self._plays[order.payload["play"]])
        self.driver: FakeDriver = FakeDriver(self.world)
        self.heard = Heard()
        self._orders: dict[int, Launch] = {}

    async def open(self) -> None:
        await self.driver.start(self.heard)

    async def close(self) -> None:
        await self.driver.stop()

    def launch(self, play: str, attempt: int = 1, *, time_limit: int | None = None) -> Launch:
        payload = {"play": play}
        order = order_for(self._home, attempt, [], payload=payload, time_limit=time_limit, grace=GRACE)
        self._orders[attempt] = order
        self.driver.launch(order)
        return order

    async def ready(self, attempt: int = 1) -> None:
        self.driver.catch_up()

    async def until(self, kind: type[Kind], attempt: int = 1) -> Kind:
        while (event := self.heard.find(kind, attempt)) is None:
            due = self.world.next_change()
            assert due is not None, f"no {kind.__name__} will ever come"
            self._clock.advance(max(0, due - self._clock.now()))
            self.driver.catch_up()
        return event

    def kill(self, attempt: int = 1) -> None:
        self.world.kill(self._orders[attempt].attempt)

    async def renew(self, *attempts: int, state: str = "running") -> None:
        await self.driver.stop()
        self.driver, self.heard = FakeDriver(self.world), Heard()
        await self.driver.start(self.heard)
        await self.driver.reattach([live_of(self._orders[attempt], state=state) for attempt in attempts])


class WorkerStage:
    """The driver of warm workers, with real workers; each attempt has one of its own."""

    offers = frozenset({"fails", "stubborn", "time_limit", "lost", "outlives"})

    def __init__(self, home: Path) -> None:
        self._home = home
        self.driver: WorkerDriver = WorkerDriver(home)
        self.heard = Heard()
        self._orders: dict[int, Launch] = {}
        self._lifelines: dict[int, Lifeline] = {}

    async def open(self) -> None:
        await self.driver.start(self.heard)

    async def close(self) -> None:
        for order in self._orders.values():
            if self.heard.find(Exited, order.attempt) is None:
                self.driver.halt(order.attempt, order.epoch, grace=0, reason="cancelled")
                await self.heard.until(Exited, order.attempt)
        await self.driver.stop()
        for lifeline in self._lifelines.values():
            lifeline.close()

    def launch(self, play: str, attempt: int = 1, *, time_limit: int | None = None) -> Launch:
        lifeline = self._lifelines[attempt] = Lifeline(self._home / f"lifeline-{attempt}")
        call = {
            "succeeds": call_of("nothing"),
            "fails": call_of("leave_with", 3),
            "waits": call_of("stay", tree_command("double_fork", lifeline)),
            "stubborn": call_of("stay_stubbornly", tree_command("stubborn", lifeline)),
        }[play]
        order = call_order(self._home, attempt, call, time_limit=time_limit, grace=GRACE)
        self._orders[attempt] = order
        self.driver.launch(order)
        return order

    async def ready(self, attempt: int = 1) -> None:
        await self._lifelines[attempt].until(2)

    async def until(self, kind: type[Kind], attempt: int = 1) -> Kind:
        return await self.heard.until(kind, attempt)

    def kill(self, attempt: int = 1) -> None:
        started = self.heard.find(Started, attempt)
        assert started is not None
        os.kill(json.loads(started.process)["pid"], signal.SIGKILL)

    async def renew(self, *attempts: int, state: str = "running") -> None:
        await self.driver.stop()
        self.driver, self.heard = WorkerDriver(self._home), Heard()
        await self.driver.start(self.heard)
        await self.driver.reattach([live_of(self._orders[at], state=state) for at in attempts])


class CallStage:
    """The driver of calls, before an endpoint that answers, is wrong, or says nothing."""

    offers = frozenset({"time_limit", "lost_with_engine"})

    def __init__(self, home: Path) -> None:
        hangs, wrong = (ModelScript(latency=0, faults=(fault,)) for fault in (Fault(kind="hang"), Fault(status=400)))
        script = Script(models={"succeeds": ModelScript(latency=0), "fails": wrong, "waits": hangs}, default=None)
        self._endpoint = FaultyEndpoint(script)
        self._home = home

    @property
    def driver(self) -> Driver:
        return self._stand.driver

    @property
    def heard(self) -> Heard:
        return self._stand.heard

    async def open(self) -> None:
        await self._endpoint.start()
        self._stand = CallStand(self._home, self._endpoint)
        await self.driver.start(self.heard)

    async def close(self) -> None:
        await self.driver.stop()
        await self._endpoint.stop()

    def launch(self, play: str, attempt: int = 1, *, time_limit: int | None = None) -> Launch:
        return self._stand.launch(attempt, model=play, time_limit=time_limit)

    async def ready(self, attempt: int = 1) -> None:
        await self.heard.until(Started, attempt)

    async def until(self, kind: type[Kind], attempt: int = 1) -> Kind:
        return await self.heard.until(kind, attempt)

    def kill(self, attempt: int = 1) -> None:
        """Nothing stands over a call but the engine."""

    async def renew(self, *attempts: int, state: str = "running") -> None:
        await self.driver.stop()
        self._stand.driver, self._stand.heard = self._stand.new_driver(), Heard()
        await self.driver.start(self.heard)
        await self.driver.reattach([live_of(self._stand.orders[at], state=state) for at in attempts])


class LeaseStage:
    """The lease driver, with holders that end when their input does."""

    offers = frozenset({"holders", "outlives"})

    def __init__(self, home: Path) -> None:
        self._home = home
        self.driver: LeaseDriver = LeaseDriver()
        self.heard = Heard()
        self._orders: dict[int, Launch] = {}
        self._processes: dict[int, str] = {}
        self.holders: dict[int, asyncio.subprocess.Process] = {}

    async def open(self) -> None:
        await self.driver.start(self.heard)
        for attempt in (1, 2):
            self.holders[attempt] = await asyncio.create_subprocess_exec("cat", stdin=asyncio.subprocess.PIPE)

    async def close(self) -> None:
        await self.driver.stop()
        for holder in self.holders.values():
            assert holder.stdin is not None
            holder.stdin.close()
            await holder.wait()

    def launch(self, play: str, attempt: int = 1, *, time_limit: int | None = None) -> Launch:
        pid = self.holders[attempt].pid
        payload = {"pid": pid, "ticks": ticks_of(pid)}
        self._processes[attempt] = json.dumps(payload | {"boot": boot_id()})
        order = order_for(self._home, attempt, [], payload=payload)
        self._orders[attempt] = order
        self.driver.launch(order)
        if play == "succeeds":
            self.driver.release(order.attempt)
        return order

    async def ready(self, attempt: int = 1) -> None:
        assert self.heard.find(Started, attempt) is not None

    async def until(self, kind: type[Kind], attempt: int = 1) -> Kind:
        return await self.heard.until(kind, attempt)

    def kill(self, attempt: int = 1) -> None:
        self.holders[attempt].kill()

    async def renew(self, *attempts: int, state: str = "running") -> None:
        await self.driver.stop()
        self.driver, self.heard = LeaseDriver(), Heard()
        await self.driver.start(self.heard)
        live = [live_of(self._orders[at], state=state, process=self._processes[at]) for at in attempts]
        await self.driver.reattach(live)
