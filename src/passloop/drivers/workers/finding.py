"""Which workers an earlier engine left: by their folders and start records. Reads only."""

from __future__ import annotations

from pathlib import Path

from passloop.drivers.base import LiveAttempt
from passloop.kernel.ids import AttemptId, RunId, TaskId
from passloop.kernel.resources import Allocation

from .endings import record_name, worker_of

__all__ = ["found_workers", "worker_named_by"]


def found_workers(home: Path) -> list[LiveAttempt]:
    """The workers with a folder in `home`, as attempts of the process driver. Not for the engine's loop."""
    numbers = sorted(int(path.name) for path in home.iterdir() if path.name.isdigit())
    return [_as_attempt(home / str(number), number) for number in numbers]


def _as_attempt(directory: Path, number: int) -> LiveAttempt:
    return LiveAttempt(
        attempt=AttemptId(number),
        epoch=1,
        run=RunId(0),
        task=TaskId(0),
        name=record_name(directory),
        directory=directory,
        state="running",
        process="{}",
        grace=0,
        allocation=Allocation(0),
    )


def worker_named_by(live: LiveAttempt) -> AttemptId:
    """The worker of an attempt by its own start record; one that began no cell yet is that of a new worker."""
    return AttemptId(worker_of(live.directory) or live.attempt)
