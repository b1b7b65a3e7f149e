"""Where the looking verbs look: at the engine if one runs, else straight at the store, read-only.

Both give the same JSON documents. It never starts an engine and changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple, Protocol

import click

from passloop.cli.client import Client
from passloop.cli.homes import home_of

__all__ = ["Ask", "EngineReads", "Reads", "open_reads", "selectors_of"]

_PATIENCE = 60.0


class Ask(NamedTuple):
    """Which tasks: by selectors (none: all), one state, one group, the newest `limit` of them (None: all)."""

    selectors: tuple[str, ...] = ()
    group: str | None = None
    limit: int | None = None


class Reads(Protocol):
    """What can be asked. `running` tells whether an engine answers, `stored` whether the home has a store."""

    home: str
    running: bool
    stored: bool

    def tasks(self, ask: Ask) -> dict[str, Any]:
        """`{"schema_version", "tasks", "total"}`, oldest first."""
        ...

    def task(self, task: int) -> dict[str, Any]:
        """`{"schema_version", "task"}` with its attempts."""
        ...

    def why(self, task: int) -> dict[str, Any]:
        """`{"schema_version", "task", "state", "blockers"}`."""
        ...

    def runs(self) -> dict[str, Any]:
        """`{"schema_version", "runs"}`, newest first."""
        ...


class EngineReads:
    """Asks the engine that owns the home."""

    running = True
    stored = True

    def __init__(self, client: Client) -> None:
        self.home = client.home
        self._client = client

    def tasks(self, ask: Ask) -> dict[str, Any]:
        """As `Reads.tasks`."""
        chosen: list[tuple[str, str | int | None]] = [("select", text) for text in ask.selectors]
        return self._client.get("/tasks", [*chosen, ("group", ask.group), ("limit", ask.limit)], timeout=_PATIENCE)

    def task(self, task: int) -> dict[str, Any]:
        """As `Reads.task`."""
        return self._client.get(f"/tasks/{task}", timeout=_PATIENCE)

    def why(self, task: int) -> dict[str, Any]:
        """As `Reads.why`."""
        return self._client.get(f"/tasks/{task}/why", timeout=_PATIENCE)

    def run(self, run: int) -> dict[str, Any]:
        """`{"schema_version", "run"}`: one of them."""
        return self._client.get(f"/runs/{run}", timeout=_PATIENCE)

    def runs(self) -> dict[str, Any]:
        """As `Reads.runs`."""
        return self._client.get("/runs", timeout=_PATIENCE)


def open_reads(ctx: click.Context) -> Reads:
    """The engine's answers if one runs, else the store's. Raises `CliError` (exit 3) if there is no store."""
    client = Client(home_of(ctx))
    if client.alive():
        return EngineReads(client)
    from passloop.cli.store_reads import StoreReads

    return StoreReads(client.home)


def selectors_of(words: Iterable[str], *, failed: bool = False) -> tuple[str, ...]:
    """The words as selectors, with the one that `--failed` is short for."""
    return (*words, "state:failed") if failed else tuple(words)
