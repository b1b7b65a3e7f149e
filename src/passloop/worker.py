"""What a function that is called by passloop may know of its worker, and what it may keep there for the next call.

    from passloop import worker

    def score(model: str, subset: str) -> dict:
        if "model" not in worker.kept:
            worker.kept["model"] = load(model)
        return {"score": evaluate(worker.kept["model"], subset)}

Without a worker (a plain `passloop.call`, a test, a notebook) everything works and `kept` begins empty. It imports
nothing but the standard library, and must never start a thread or open a file by itself.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = [
    "Cell",
    "DeviceFault",
    "OutOfMemory",
    "Refused",
    "Stopped",
    "cell",
    "kept",
    "loaded",
    "loading",
    "mutated",
    "mutation",
]

kept: dict[str, Any] = {}
"""Lasts as long as the worker."""


@dataclass(frozen=True, slots=True)
class Cell:
    """The call under way. `attempt` is its epoch (1 = first try), `number` counts the calls of this worker from 1."""

    task: int
    attempt: int
    attempt_id: str
    out: Path
    index: int | None = None
    warm_key: str | None = None
    number: int = 1


class Stopped(BaseException):
    """Raised inside a cell whose time is up or that was cancelled. Clean up quickly and let it through."""


class OutOfMemory(Exception):
    """Raise it when there was too little memory: the outcome is `out_of_memory`, and another variant may be tried."""


class DeviceFault(Exception):
    """Raise it when a GPU is broken: it is quarantined, and the task goes on elsewhere."""

    def __init__(self, message: str, *, device: str | None = None) -> None:
        super().__init__(message)
        self.device = device


class Refused(Exception):
    """Raise it when no retry would help, for instance because the request itself is wrong."""


class _Now:
    """What holds for the call under way."""

    cell: Cell | None = None
    mutated: str | None = None
    loading: int | None = None


def cell() -> Cell:
    """The call under way; outside of passloop one that looks like a first try in the current directory."""
    if _Now.cell is not None:
        return _Now.cell
    said = os.environ
    index = said.get("PASSLOOP_INDEX", "")
    return Cell(
        task=int(said.get("PASSLOOP_TASK_ID", "0")),
        attempt=int(said.get("PASSLOOP_ATTEMPT", "1")),
        attempt_id=said.get("PASSLOOP_ATTEMPT_ID", ""),
        out=Path(said.get("PASSLOOP_OUT", ".")),
        index=int(index) if index else None,
    )


def mutated(why: str = "what is kept was changed") -> None:
    """Say that what is kept was changed for good: no other call gets this worker."""
    _Now.mutated = why


def mutation() -> str | None:
    """What was said with `mutated` since the call began."""
    return _Now.mutated


def loaded(millis: int) -> None:
    """Say that this call took so many milliseconds to load what is kept. What switching to its key costs is learned
    from that, and with it for how long others may be passed by so that a key is drained before it is switched.
    """
    _Now.loading = (_Now.loading or 0) + max(0, millis)


def loading() -> int | None:
    """What was said with `loaded` since the call began, in all; None if nothing was."""
    return _Now.loading


def begin(now: Cell | None) -> None:
    """For the worker itself: a call begins, or none is under way."""
    _Now.cell = now
    if now is not None:
        _Now.mutated = _Now.loading = None
