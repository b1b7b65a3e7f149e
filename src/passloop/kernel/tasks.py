"""Runs, tasks, attempts and outcomes as frozen records. Times are engine time in milliseconds, spans too."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from .ids import AttemptId, PoolName, RunId, TaskId
from .resources import Allocation, Request

__all__ = [
    "CALLS",
    "FINAL_STATES",
    "LEASES",
    "AttemptRow",
    "Dependency",
    "DeviceUse",
    "Growth",
    "NewTask",
    "Outcome",
    "OutcomeKind",
    "Reservation",
    "RetryBudgets",
    "RunRow",
    "TaskRow",
    "TaskSpec",
    "TaskState",
]


class TaskState(StrEnum):
    """Where a task is. Only `transitions.py` moves it."""

    WAITING = "waiting"
    HELD = "held"
    BACKOFF = "backoff"
    READY = "ready"
    ADMITTED = "admitted"
    RUNNING = "running"
    STOPPING = "stopping"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    ABORTED = "aborted"
    REJECTED = "rejected"


FINAL_STATES = frozenset(
    {TaskState.SUCCEEDED, TaskState.FAILED, TaskState.CANCELLED, TaskState.ABORTED, TaskState.REJECTED}
)


LEASES = "leases"
"""The driver of leases. A user's own process holds one, so how long it lasts says nothing about the next."""

CALLS = "calls"
"""The driver of calls, which take nothing of the node."""


class OutcomeKind(StrEnum):
    """How an attempt ended."""

    SUCCESS = "success"
    FAILURE = "failure"
    TIMEOUT = "timeout"
    RATE_LIMITED = "rate_limited"
    CANCELLED = "cancelled"
    LOST = "lost"
    DEVICE_FAULT = "device_fault"
    OUT_OF_MEMORY = "out_of_memory"


@dataclass(frozen=True, slots=True)
class Growth:
    """By how many MiB a worker's resident memory grew since the first of its `cells`: most likely a leak."""

    mib: int
    cells: int


@dataclass(frozen=True, slots=True)
class DeviceUse:
    """How an attempt used its devices, by `reads` that were taken meanwhile: percent busy on average and at the most,
    and the most memory in MiB that was taken on one of them.
    """

    mean: int
    peak: int
    memory_mib: int
    reads: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended, as its driver saw it.

    `message` is one sentence for people. `pool` names the pool to blame (else the deepest one drawn on);
    `retry_after` is what the other side asked for, or a driver that has nothing to begin it with, in ms. `final`
    forbids a retry (a request that is itself wrong). `engine_lost` marks a loss that costs the task nothing: it came
    with the engine's own death, or nothing had begun. `used` corrects estimated draws on rate pools. `device` is the
    UUID of a faulty device. `untried` says that the pools it drew on were not asked: they learn nothing, and its draws
    on rates come back. `uncounted` failures cost nothing of the budget for failures, since whoever reports them keeps a
    budget of its own. `ran` is how long it ran in ms, by the monotonic clock of whoever stood over it, where that was
    measured: engines may have come and gone meanwhile.
    `loading` is how much of that went into loading what stays for the next tasks of the same warm key; None: nothing.
    `growth` is why its worker was ended, if it had grown; `devices` how busy its devices were, where that was read.
    """

    kind: OutcomeKind
    exit_code: int | None = None
    signal: int | None = None
    message: str = ""
    pool: PoolName | None = None
    status: int | None = None
    retry_after: int | None = None
    final: bool = False
    engine_lost: bool = False
    device: str | None = None
    used: tuple[tuple[PoolName, int], ...] = ()
    untried: bool = False
    uncounted: bool = False
    ran: int | None = None
    loading: int | None = None
    growth: Growth | None = None
    devices: DeviceUse | None = None


@dataclass(frozen=True, slots=True)
class RetryBudgets:
    """How often a task may be tried again after each class of outcome; backoff in ms, doubling."""

    failure: int = 0
    timeout: int = 0
    out_of_memory: int = 1
    lost: int = 5
    backoff_first: int = 1_000
    backoff_most: int = 300_000


@dataclass(frozen=True, slots=True)
class Dependency:
    """A task that must be final first; `any_end` accepts every final state, else success is needed.

    A negative `task` refers to a task of the same submission: -1 is its first, -2 its second.
    """

    task: int
    any_end: bool = False


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """What many tasks of a run share. Kept once in memory and once in the store; spans in ms.

    `driver` names who executes ("processes", "leases", "calls"). `task_class` and `program` are what learned
    durations are filed under. `deadline` counts from submission. `on_dead` is what its run wants of a dead pool:
    "wait", "fail" (this task) or "end" (all of the run); empty = as the pool's own policy says. Tasks of a run that are
    `alike` take alike of memory: where a variant was too little for one, those that have not started go on to the next.
    """

    request: Request
    driver: str = "processes"
    time_limit: int | None = None
    grace: int = 30_000
    retries: RetryBudgets = RetryBudgets()
    patience: int | None = None
    deadline: int | None = None
    wait_for_capacity: bool = False
    task_class: str = ""
    program: str = ""
    warm_key: str | None = None
    on_dead: str = ""
    alike: bool = False


@dataclass(frozen=True, slots=True)
class NewTask:
    """A task as submitted. `payload` is JSON text for store and driver; the kernel passes it on unread.

    `node` is the task's node in the template of the source that it comes from; of no meaning elsewhere.
    """

    spec: TaskSpec
    payload: str = "{}"
    key: str | None = None
    index: int = 0
    rank: int = 0
    after: tuple[Dependency, ...] = ()
    held: bool = False
    retry_of: TaskId | None = None
    node: int = 0


class Reservation(NamedTuple):
    """Devices and amounts kept for one blocked task: `order` is when it reserved among all, `since` is in ms."""

    order: int
    since: int
    shadow: int | None
    allocation: Allocation


class RunRow(NamedTuple):
    """A submission as stored."""

    id: RunId
    name: str
    group: str
    submitted_at: int


class TaskRow(NamedTuple):
    """A task as stored: everything the machine needs to go on with it, and what people ask about it.

    `failures`, `timeouts`, `ooms`, `losses`, `faults` count outcomes against the budgets. `head_since` and
    `patience` are fixed when the task first heads a pool it lacks.
    """

    id: TaskId
    run: RunId
    index: int  # type: ignore[assignment]  # tuple.index is not used of a row
    rank: int
    key: str | None
    group: str
    priority: int
    state: TaskState
    held: bool
    attempts: int
    failures: int
    timeouts: int
    ooms: int
    losses: int
    faults: int
    not_before: int | None
    variant_from: int
    head_since: int | None
    patience: int | None
    reservation: Reservation | None
    submitted_at: int
    started_at: int | None
    ended_at: int | None
    outcome: OutcomeKind | None
    exit_code: int | None
    message: str
    retry_of: int | None
    retried_by: int | None
    stop_reason: str


class AttemptRow(NamedTuple):
    """One try at a task as stored. `epoch` is the task's attempt number and fences old writes.

    `state` is admitted, running, stopping, stray or ended. `process` is JSON text the driver gave at the start
    (pid, start ticks, boot id). `bound` in ms is what was known when it was admitted; `charged` what its group was
    charged, in ms of dominant share.
    """

    id: AttemptId
    task: TaskId
    epoch: int
    state: str
    driver: str
    allocation: Allocation
    bound: int | None
    bound_enforced: bool
    admitted_at: int
    started_at: int | None
    ended_at: int | None
    process: str
    outcome: Outcome | None
    charged: int
