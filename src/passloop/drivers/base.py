"""What every driver is: code that executes attempts of one kind and reports what happened as events.

A driver decides nothing. It starts what it is told to, ends what it is told to, and says so. Every driver
and its fake pass the same contract suite (`tests/contract/`).

The life of an attempt, as the engine sees it:

    launch -> Started -> Exited                       the usual way
    launch -> StartRefused                            a device was no longer free; nothing ran
    launch -> Exited(failure, message)                could not be started (command not found, missing cwd)
    launch -> PauseChanged, Exited(engine_lost)       no room on the disk for its folder; nothing ran
    launch -> Exited(engine_lost)                     no process or descriptor was left for it for long; nothing ran
    halt before launch                                the attempt id is forbidden for ever; Exited by its reason
    Exited(result=...)                                what it left as results, where there is no folder for a file
    Exited(stray=True) -> StrayGone                   the attempt ended but something of its tree lives on
    reattach -> Started and/or Exited                 after the engine died: live, ended or lost
    Exited(parked=...) -> launch(worker=...)          its worker lives on, and takes the next one
                       -> WorkerGone                  or it was evicted, or ended by itself
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from passloop.kernel.events import Event
from passloop.kernel.ids import AttemptId, RunId, TaskId
from passloop.kernel.resources import Allocation

__all__ = ["Driver", "Fail", "Launch", "LiveAttempt", "LiveWorker", "Report", "WarmDriver"]

Report = Callable[[Event], None]
"""Puts an event into the engine's inbox; callable from the engine's loop thread only."""

Fail = Callable[[BaseException], None]
"""Takes an error that no attempt can be told of and after which one might never end: it ends the engine loudly, and the
next one looks again.
"""


@dataclass(frozen=True, slots=True)
class Launch:
    """One attempt to start. Spans in ms, memory in MiB.

    `directory` is the attempt's own folder (`runs/<run>/<task>/<epoch>`), made by the driver; where attempts have
    none it is `runs`. `payload` is what the app stored with the task (`command`, `cwd`, ...), `environment` the
    complete environment variables of the submitter with the user's `--env` already applied; the driver adds the
    `PASSLOOP_*` and CUDA variables. `environment_id` is equal for equal environments, so that a driver may send each
    one once. `name` is unique on the box across homes: "<home id>-<attempt id>", the PASSLOOP_ATTEMPT_ID.
    `device_indices` are the CUDA-order indices of the granted devices; `virtual` says that they are virtual.
    `worker` is the worker that is to run it; None with a `warm_key` means a new one, whose id is the attempt's.
    `left` is the JSON text that earlier attempts at the task left as its results.
    """

    attempt: AttemptId
    epoch: int
    run: RunId
    task: TaskId
    name: str
    directory: Path
    allocation: Allocation
    time_limit: int | None
    grace: int
    memory_limit: int | None = None
    payload: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    environment_id: str = ""
    virtual: bool = False
    warm_key: str | None = None
    worker: AttemptId | None = None
    left: str | None = None

    @property
    def idempotency_key(self) -> str:
        """What each attempt at the task may tell others, so that an effect happens once; no other task has it."""
        return f"{self.name.rpartition('-')[0]}-task-{self.task}"


@dataclass(frozen=True, slots=True)
class LiveAttempt:
    """An attempt that the store holds as not ended, for `reattach`. `state` is admitted, running, stopping or
    stray.
    """

    attempt: AttemptId
    epoch: int
    run: RunId
    task: TaskId
    name: str
    directory: Path
    state: str
    process: str
    grace: int
    allocation: Allocation
    worker: AttemptId | None = None


@dataclass(frozen=True, slots=True)
class LiveWorker:
    """A worker that the store holds as not gone. `lying` = parked or evicted; `evicted` = it was told to end."""

    worker: AttemptId
    lying: bool
    evicted: bool


class Driver(Protocol):
    """Executes attempts of one kind. All methods are called on the engine's loop thread and never block it."""

    name: str

    async def start(self, report: Report, *, failed: Fail) -> None:
        """Get ready; events go to `report` from now on, errors of the driver's own work to `failed`."""
        ...

    async def stop(self) -> None:
        """Stop watching and close what is open. Running attempts are left alone and can be reattached."""
        ...

    def launch(self, order: Launch) -> None:
        """Start an attempt; the report follows. A halted attempt id is never started."""
        ...

    def halt(self, attempt: AttemptId, epoch: int, *, grace: int, reason: str) -> None:
        """End an attempt politely, after `grace` ms surely; `Exited` follows when the whole tree is gone.

        `reason` is "cancelled" (outcome cancelled), "timeout" (outcome timeout) or "down" (outcome lost with
        `engine_lost`, costs nothing). Halting an unknown or ended attempt does nothing but forbid its start. A driver
        with workers also hears "recall": as "down" for an attempt that has not begun, and nothing for one that has.
        """
        ...

    async def reattach(self, attempts: Sequence[LiveAttempt]) -> None:
        """Find these attempts again after a restart and report for each, at the latest when this returns,
        either `Started` (still running, watched again), `Exited` (its record says how, or it is lost) or
        nothing new for one that is live and was already `running`.

        An attempt without a start record gets a tombstone first and is then reported lost with `engine_lost`. Where
        its worker lives and its records can be neither read nor made now, the report follows once they can, or once
        the worker is known to be done with it.
        """
        ...

    def statistics(self) -> Mapping[str, int]:
        """Counts for `status` and `doctor`, as a frozen snapshot."""
        ...


@runtime_checkable
class WarmDriver(Driver, Protocol):
    """A driver whose workers live on between two attempts."""

    def evict(self, worker: AttemptId) -> None:
        """End a parked worker; `WorkerGone` follows when its whole tree is gone. One that is gone is said so again."""
        ...

    async def reattach_workers(self, workers: Sequence[LiveWorker]) -> None:
        """Find these workers again after a restart, before their attempts: `WorkerGone` for each that lay and is gone.
        Workers that are not among them are ended, and gone when this returns.
        """
        ...
