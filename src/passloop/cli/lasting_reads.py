"""Where followers look: at the engine; at the store, where that says that nothing is left to follow; else at the next
engine. So the end of an engine is no end of a command that only follows, and no wait for an engine that nobody needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from passloop.cli.client import Client, EngineLost
from passloop.cli.reads import Ask, EngineReads
from passloop.cli.wording import FINAL, is_run_over

__all__ = ["LastingReads"]

Document = dict[str, Any]


class LastingReads(EngineReads):
    """The same documents as `EngineReads`. With a client that has no patience it is one."""

    def __init__(self, client: Client) -> None:
        super().__init__(client)
        self._now = EngineReads(Client(client.home))

    def tasks(self, ask: Ask) -> Document:
        """As `Reads.tasks`."""
        return self._asked(lambda: self._now.tasks(ask), lambda: _stored(self.home).tasks(ask)) or super().tasks(ask)

    def task(self, task: int) -> Document:
        """As `Reads.task`."""
        return self._asked(lambda: self._now.task(task), lambda: _stored(self.home).task(task)) or super().task(task)

    def run(self, run: int) -> Document:
        """`{"schema_version", "run"}`."""
        there = self._asked(lambda: self._now.run(run), lambda: _stored(self.home).run(run))
        return there or super().run(run)

    def _asked(self, now: Callable[[], Document], stored: Callable[[], Document]) -> Document | None:
        """The engine's answer, or the store's where nothing of it can change any more; None if neither will do."""
        try:
            return now()
        except EngineLost:
            if not self._client.patience:
                raise
            found = stored()
            return found if _is_over(found) else None


def _is_over(found: Mapping[str, Any]) -> bool:
    if found.get("run") is not None:
        return is_run_over(found["run"])
    return all(task["state"] in FINAL for task in found.get("tasks", [found.get("task")]))


def _stored(home: str) -> Any:
    from passloop.cli.store_reads import StoreReads

    return StoreReads(home)
