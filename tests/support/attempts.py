"""Orders for drivers, what drivers reported, and pipes through which a tree of processes shows that it lives.

For tests of drivers. Waits for events only, each within `PATIENCE`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from passloop.drivers.base import Launch, LiveAttempt
from passloop.drivers.processes.driver import ProcessDriver
from passloop.kernel.events import Event, Exited
from passloop.kernel.ids import AttemptId, RunId, TaskId
from passloop.kernel.resources import Allocation, Grant

PATIENCE = 30.0
"""Seconds a test waits for an event before it fails."""

TREE = Path(__file__).with_name("tree.py")

Kind = TypeVar("Kind", bound=Event)


class Heard:
    """What a driver has reported, in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._changed = asyncio.Event()

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        self._changed.set()

    async def another(self) -> None:
        """Wait for the next event."""
        self._changed.clear()
        async with asyncio.timeout(PATIENCE):
            await self._changed.wait()

    def find(self, kind: type[Kind], attempt: int) -> Kind | None:
        """The first event of this kind about an attempt, or about the worker of that id."""
        for event in self.events:
            about = getattr(event, "attempt", getattr(event, "worker", None))
            if isinstance(event, kind) and about == attempt:
                return event
        return None

    def of(self, attempt: int) -> list[str]:
        """The names of the events about an attempt, in order."""
        return [type(event).__name__ for event in self.events if getattr(event, "attempt", None) == attempt]

    async def until(self, kind: type[Kind], attempt: int) -> Kind:
        """Wait for an event of this kind about an attempt."""
        async with asyncio.timeout(PATIENCE):
            while (event := self.find(kind, attempt)) is None:
                self._changed.clear()
                await self._changed.wait()
        return event


class Lifeline:
    """A named pipe that a tree of processes holds open: it says "x" per process, and ends when all are gone."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self._heard = b""

    async def until(self, count: int) -> None:
        """Wait until `count` processes have said that they are there."""
        readable = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_reader(self._fd, readable.set)
        try:
            async with asyncio.timeout(PATIENCE):
                while self.came_up() < count:
                    await readable.wait()
                    readable.clear()
                    self._take()
        finally:
            loop.remove_reader(self._fd)

    def wait(self, count: int) -> None:
        """As `until`, for tests without a loop."""
        while self.came_up() < count:
            assert select.select([self._fd], [], [], PATIENCE)[0], f"{count} processes do not come up"
            self._take()

    def survivors(self) -> bool:
        """Whether a process of the tree still holds the pipe. Fails if none ever did, for that looks the same."""
        holds = True
        with contextlib.suppress(BlockingIOError):
            while holds:
                said = os.read(self._fd, 4096)
                self._heard += said
                holds = bool(said)
        assert self._heard, "no process of the tree has come up"
        return holds

    def came_up(self) -> int:
        """How many processes have said so far that they are there."""
        return self._heard.count(b"x")

    def close(self) -> None:
        """Close this end."""
        os.close(self._fd)

    def _take(self) -> None:
        try:
            self._heard += os.read(self._fd, 4096)
        except BlockingIOError:
            return


class Gate:
    """A named pipe at which commands wait (`read line < PATH`) until they are let through."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    def open(self, count: int = 1) -> None:
        """Let `count` commands go on."""
        os.write(self._fd, b"\n" * count)

    def close(self) -> None:
        """Close this end."""
        os.close(self._fd)


class Stage:
    """A process driver on a home, what it reported, and orders for it. Leaves no attempt running behind."""

    def __init__(self, home: Path, **options: Any) -> None:
        self.home = home
        self._options = options
        self.driver = ProcessDriver(home, **options)
        self.heard = Heard()
        self._orders: dict[int, Launch] = {}
        self._pipes: list[Lifeline | Gate] = []

    async def __aenter__(self) -> Self:
        await self.driver.start(self.heard)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for order in self._orders.values():
            if self.heard.find(Exited, order.attempt) is None:
                self.driver.halt(order.attempt, order.epoch, grace=0, reason="cancelled")
                await self.heard.until(Exited, order.attempt)
        await self.driver.stop()
        for pipe in self._pipes:
            pipe.close()

    def lifeline(self) -> Lifeline:
        """A new named pipe."""
        lifeline = Lifeline(self.home / f"lifeline-{len(self._pipes)}")
        self._pipes.append(lifeline)
        return lifeline

    def gate(self) -> Gate:
        """A new gate for commands to wait at."""
        gate = Gate(self.home / f"gate-{len(self._pipes)}")
        self._pipes.append(gate)
        return gate

    def launch(self, command: Sequence[str], attempt: int = 1, **fields: Any) -> Launch:
        """Give the driver an order to run `command`."""
        order = order_for(self.home, attempt, command, **fields)
        self._orders[attempt] = order
        self.driver.launch(order)
        return order

    def order(self, attempt: int = 1) -> Launch:
        """The order of an attempt."""
        return self._orders[attempt]

    async def ended(self, attempt: int = 1) -> Exited:
        """How an attempt ended."""
        return await self.heard.until(Exited, attempt)

    async def run(self, command: Sequence[str], attempt: int = 1, **fields: Any) -> Exited:
        """Run `command` to its end."""
        self.launch(command, attempt, **fields)
        return await self.ended(attempt)

    async def adopt(self, *lives: LiveAttempt, orders: Sequence[Launch]) -> None:
        """Let the driver take up attempts that another engine launched."""
        self._orders.update({order.attempt: order for order in orders})
        await self.driver.reattach(lives)

    async def renew(self) -> None:
        """The engine is gone and another one takes over the home; nothing is reattached yet."""
        await self.driver.stop()
        self.driver = ProcessDriver(self.home, **self._options)
        self.heard = Heard()
        await self.driver.start(self.heard)

    async def reattach(self, *attempts: int, state: str = "running") -> None:
        """Let the driver take up attempts it does not know."""
        orders = [self._orders[attempt] for attempt in attempts]
        await self.driver.reattach([live_of(order, state=state) for order in orders])


def order_for(home: Path, attempt: int, command: Sequence[str], **fields: Any) -> Launch:
    """An order to run `command`; `fields` are those of `Launch`, and `gpus` the UUIDs it is granted."""
    environment: Mapping[str, str] = fields.pop("environment", {"PATH": os.environ["PATH"]})
    payload = {"command": list(command), "cwd": fields.pop("cwd", str(home))} | fields.pop("payload", {})
    grants = tuple(Grant(uuid, 10_000, 1024) for uuid in fields.pop("gpus", ()))
    standard: dict[str, Any] = {
        "epoch": 1,
        "run": RunId(1),
        "task": TaskId(attempt),
        "name": f"{home.name}-{os.getpid()}-{attempt}",
        "directory": home / "runs" / "1" / str(attempt) / "1",
        "allocation": Allocation(variant=0, devices=grants),
        "time_limit": None,
        "grace": 5_000,
        "environment_id": str(hash(tuple(environment.items()))),
    }
    return Launch(attempt=AttemptId(attempt), payload=payload, environment=environment, **standard | fields)


def live_of(order: Launch, *, state: str = "running", process: str = "{}") -> LiveAttempt:
    """The attempt of an order as the store holds it."""
    return LiveAttempt(
        attempt=order.attempt,
        epoch=order.epoch,
        run=order.run,
        task=order.task,
        name=order.name,
        directory=order.directory,
        state=state,
        process=process,
        grace=order.grace,
        allocation=order.allocation,
    )


def waiting_command(lifeline: Lifeline, gate: Gate, then: str = "true") -> list[str]:
    """A command that says it is there, waits at the gate, and then does something."""
    return ["sh", "-c", f"printf x > '{lifeline.path}'; read line < '{gate.path}'; {then}"]


def tree_command(shape: str, lifeline: Lifeline) -> list[str]:
    """The command of a tree of processes of that shape; each says on the lifeline that it is there."""
    if shape == "pipeline":
        return ["sh", "-c", f"exec 9>'{lifeline.path}'; (printf x >&9; sleep 600) | (printf x >&9; cat)"]
    return [sys.executable, "-I", "-S", str(TREE), shape, str(lifeline.path)]


TREE_SIZES = {"child": 2, "fork": 3, "double_fork": 2, "setsid": 2, "stubborn": 2, "pipeline": 2}
"""Shapes of trees, and how many of their processes stay."""

__all__ = [
    "PATIENCE",
    "TREE_SIZES",
    "Gate",
    "Heard",
    "Lifeline",
    "Stage",
    "live_of",
    "order_for",
    "tree_command",
    "waiting_command",
]
