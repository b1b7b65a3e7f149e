"""Faults for the simulation: commits that fail, and an engine that dies before or after one."""

from __future__ import annotations

from collections.abc import Callable

from passloop.store.database import Batch, Store
from passloop.store.errors import StoreFull

__all__ = ["Killed", "failing"]


class Killed(BaseException):
    """The engine dies here; nothing in it may catch this."""


def failing(store: Store, fault: Callable[[], str]) -> None:
    """Before each commit `fault` says what goes wrong: "" nothing, "full", "die before" or "die after"."""
    commit = store.commit

    def commit_or_fail(batch: Batch) -> int:
        kind = fault()
        if kind == "full":
            raise StoreFull("the disk is full, says the simulation")
        if kind == "die before":
            raise Killed
        seq = commit(batch)
        if kind == "die after":
            raise Killed
        return seq

    store.commit = commit_or_fail  # type: ignore[method-assign]
