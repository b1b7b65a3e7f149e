"""What the driver knows of its workers: their channels, their cells in order, and where they are in their lives. Holds;
decides nothing, and never touches a process.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any

import msgspec

from passloop.drivers.base import Launch, LiveAttempt
from passloop.kernel.events import Parked
from passloop.kernel.ids import MEMORY, AttemptId
from passloop.kernel.resources import Allocation
from passloop.kernel.tasks import Outcome

from .protocol import take_messages

__all__ = ["Channel", "Hold", "Life", "Order", "listen_at"]


class Life(Enum):
    """Starting (nothing was heard of it), up (it takes cells), ending (it was told to end, or says it will), gone."""

    STARTING = "starting"
    UP = "up"
    ENDING = "ending"
    GONE = "gone"


@dataclass(slots=True, eq=False)
class Order:
    """An attempt that was given to a worker. `started` = it was reported as started; `message` is the order as it is
    sent, kept until then; `refused` is how it ended if its worker could not record it and ends for that.
    """

    attempt: AttemptId
    epoch: int
    name: str
    directory: Path
    grace: int
    started: bool = False
    message: bytes = b""
    refused: Outcome | None = None

    @classmethod
    def of_launch(cls, launch: Launch) -> Order:
        """One that is to be given."""
        return cls(launch.attempt, launch.epoch, launch.name, launch.directory, launch.grace)

    @classmethod
    def of_live(cls, live: LiveAttempt) -> Order:
        """One that an earlier engine gave."""
        started = live.state == "running"
        return cls(live.attempt, live.epoch, live.name, live.directory, live.grace, started)


@dataclass(slots=True, eq=False)
class Hold:
    """One worker. `process` is the JSON text that names its shim; `orders` are its attempts, first to run first.

    `halted` is the attempt it is ended for, with the reason; `ended` how it ended, once its shim has said so;
    `outlived` that something of it was left then, and `stray` the attempt that is charged for that. `gone` is set
    once it is proven gone.
    """

    worker: AttemptId
    name: str
    directory: Path
    allocation: Allocation
    life: Life = Life.STARTING
    process: str = "{}"
    channel: Channel | None = None
    orders: dict[AttemptId, Order] = field(default_factory=dict)
    halted: tuple[AttemptId, str] | None = None
    ended: Outcome | None = None
    outlived: bool = False
    stray: Order | None = None
    came_up: bool = False
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def alive(self) -> bool:
        """Whether it may still take cells."""
        return self.life in (Life.STARTING, Life.UP)

    def parked(self) -> Parked:
        """What it holds while it lies."""
        memory = dict(self.allocation.amounts).get(MEMORY, 0)
        return Parked(self.worker, self.allocation.devices, memory)

    def send(self, order: Order) -> None:
        """Give it a cell; kept until there is a channel."""
        self.orders[order.attempt] = order
        if self.channel is not None:
            self.channel.send(order.message)

    def connect(self, channel: Channel) -> None:
        """There is a channel: what was not begun is said on it."""
        self.channel = channel
        for order in self.orders.values():
            if not order.started and order.message:
                channel.send(order.message)


_decode = msgspec.json.Decoder(dict[str, Any]).decode

Hear = Callable[["Channel", dict[str, Any]], None]


class Channel(asyncio.Protocol):
    """One connection to a worker. `hear` gets each message, `closed` its end; `hold` says whose it is, once known."""

    def __init__(self, hear: Hear, closed: Callable[[Channel], object]) -> None:
        self._hear = hear
        self._closed = closed
        self._heard = bytearray()
        self._transport: asyncio.Transport | None = None
        self.hold: Hold | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is there."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Hand on each whole message."""
        self._heard += data
        for message in take_messages(self._heard, _decode):
            self._hear(self, message)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone. What that means, the worker's shim tells."""
        if self.hold is not None and self.hold.channel is self:
            self.hold.channel = None
        self._transport = None
        self._closed(self)

    def send(self, message: bytes) -> None:
        """Send one frame, or nothing if the connection is gone."""
        if self._transport is not None:
            self._transport.write(message)

    def close(self) -> None:
        """Close the connection; what was sent is still delivered."""
        if self._transport is not None:
            self._transport.close()


async def listen_at(path: str, channel: Callable[[], Channel]) -> asyncio.Server:
    """Await workers at this socket; a `channel` is made for each that comes. Raises `OSError`, leaving nothing open."""
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        door.bind(path)
        return await asyncio.get_running_loop().create_unix_server(channel, sock=door)
    except BaseException:
        door.close()
        raise
