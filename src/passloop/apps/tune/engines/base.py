"""What every kind of engine offers: a server started at a site, known as ours, ended with proof. Starts nothing itself.

An engine turns an order into a running server and says when that server ends. It must never decide whether a trial
goes on, never read a log for meaning, and never answer "ours" for a port that it cannot prove to be the server's.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from passloop.apps.tune.records import EngineOrder

__all__ = ["CannotStart", "End", "Engine", "Holder", "Server", "Site", "Stopped", "filled", "server_environment"]


class Holder(StrEnum):
    """Who listens on a port. `HIDDEN`: somebody, and whether it is our server cannot be seen."""

    NOBODY = "nobody"
    OURS = "ours"
    OTHERS = "others"
    HIDDEN = "hidden"


class CannotStart(Exception):
    """A server could not be started at all. `kind` is a failure class; `final` means that no retry would help."""

    def __init__(self, kind: str, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.final = final


@dataclass(frozen=True, slots=True)
class End:
    """How a server ended: with an exit code, or by a signal. `memory` says that the system killed it for its use of
    memory, as it told us itself.
    """

    code: int | None = None
    signal: int | None = None
    memory: bool = False

    def __str__(self) -> str:
        if self.code is not None:
            return f"exit code {self.code}"
        if self.signal is None:
            return "an end that nobody saw"
        known = self.signal in signal.Signals._value2member_map_
        return f"signal {self.signal}" + (f" ({signal.Signals(self.signal).name})" if known else "")


@dataclass(frozen=True, slots=True)
class Stopped:
    """How a stop went: what had to be killed, and what is still there after that (pids or container ids)."""

    killed: tuple[str, ...] = ()
    left: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a server is to run: ports `port` to `port + ports - 1`, its own folder for temporary files, the environment
    of the task, the GPUs (UUIDs). `mark` is the attempt's id and `task` the task's, by which what is left can be found.
    `log` takes what the server writes, from any thread.
    """

    port: int
    ports: int
    temporary: Path
    environment: Mapping[str, str]
    log: Callable[[bytes], None]
    host: str = "127.0.0.1"
    gpus: tuple[str, ...] = ()
    mark: str = ""
    task: str = ""

    @property
    def url(self) -> str:
        """Where the server will be reached, without a path."""
        return f"http://{self.host}:{self.port}"


class Server(Protocol):
    """A server that was started. Its methods are for the loop's thread."""

    argv: tuple[str, ...]
    """What was really run."""
    environment: Mapping[str, str]
    """What it was given as its environment."""
    ended: asyncio.Future[End]
    """Done when the server itself has ended, whoever ended it."""

    def holder(self, port: int) -> Holder:
        """Who listens on the port now."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """What is known about the program for provenance: its path, or the image and its digest."""
        ...

    async def drained(self, seconds: float) -> None:
        """Return when all that it wrote was given to the log, at the latest after so long."""
        ...

    async def stop(self, grace: int) -> Stopped:
        """Ask it to end, kill what is there after `grace` ms, and return when all of it is gone, or cannot be ended."""
        ...


class Engine(Protocol):
    """A way to start servers."""

    async def start(self, order: EngineOrder, site: Site) -> Server:
        """Start a server; it need not be ready. Raises `CannotStart`."""
        ...


def filled(words: Sequence[str], site: Site) -> tuple[str, ...]:
    """The words with `{port}` and `{host}` replaced; other braces are left as they are."""
    return tuple(word.replace("{port}", str(site.port)).replace("{host}", site.host) for word in words)


def server_environment(order: EngineOrder, site: Site, *, inherited: bool = True) -> dict[str, str]:
    """The server's environment: the task's, the site's, the order's; later ones win.

    VLLM_PORT is where vLLM looks for further ports, so it starts behind the server's own; MASTER_PORT is the last of
    the block. With `inherited` False only passloop's and the devices' variables of the task, and the order's secrets,
    are taken over.
    """
    ours = {name for name in site.environment if _is_ours(name)} | set(order.secrets)
    kept = {name: value for name, value in site.environment.items() if inherited or name in ours}
    kept.pop("PASSLOOP_TRIAL", None)
    last = site.port + site.ports - 1
    own = {
        "TMPDIR": str(site.temporary),
        "VLLM_PORT": str(min(site.port + 1, last)),
        "MASTER_PORT": str(last),
    }
    asked = dict(zip(order.env, filled(tuple(order.env.values()), site), strict=True))
    return kept | own | asked


def _is_ours(name: str) -> bool:
    return name.startswith(("PASSLOOP_", "CUDA_"))
