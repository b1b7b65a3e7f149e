"""Everything that can happen, as facts given to the machine. An event is never a wish that may be half granted."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from .ids import AttemptId, PoolName, RunId, TaskId
from .resources import Grant
from .source_rows import SourcePlan
from .tasks import NewTask, Outcome, TaskState

__all__ = [
    "Cancelled",
    "DeviceSeen",
    "DevicesSeen",
    "DrainChanged",
    "Event",
    "Exited",
    "Expanded",
    "ExpansionFailed",
    "Foreign",
    "GroupHeld",
    "GroupReleased",
    "Held",
    "Parked",
    "PauseChanged",
    "PoolDeclared",
    "PoolKind",
    "PoolOpened",
    "QuarantineReleased",
    "Released",
    "Reprioritised",
    "SourceDeclared",
    "SourceRetried",
    "StartRefused",
    "Started",
    "StrayGone",
    "Submitted",
    "UnitResized",
    "WorkerGone",
    "WorkerGrew",
]


class PoolKind(StrEnum):
    """Kinds of supply: named devices, one amount, most at once, or a budget that refills every minute."""

    DEVICES = "devices"
    AMOUNT = "amount"
    LIMIT = "limit"
    RATE = "rate"


@dataclass(frozen=True, slots=True)
class Submitted:
    """A client submits tasks. The answer is `SubmitAnswer` or a `Refusal`.

    `run` names an existing run to add to (a manual retry); with `run_gone` it was removed meanwhile. `known` tells the
    final states of dependencies and of keys that the machine no longer holds: (task, state) and (key, task). With
    `refuse_impossible` a task that can never fit refuses the whole submission; without it such tasks end as rejected.
    `about` is JSON text about the run for the store; the kernel passes it on unread.
    """

    name: str
    tasks: tuple[NewTask, ...]
    group: str = "default"
    priority: int = 0
    run: RunId | None = None
    refuse_impossible: bool = True
    about: str = "{}"
    known: tuple[tuple[TaskId, TaskState], ...] = ()
    known_keys: tuple[tuple[str, TaskId], ...] = ()
    run_gone: bool = False


@dataclass(frozen=True, slots=True)
class SourceDeclared:
    """A client declares a run whose tasks come from a source. The answer is `SourceAnswer` or a `Refusal`.

    `kind` names who expands it, `spec` is JSON text for that one and `about` JSON text about the run; `unit_specs` are
    JSON texts for its first units, each for that unit alone. The kernel reads none of them. With `refuse_impossible` a
    node that can never fit refuses the source; without it, only if none can.
    """

    name: str
    kind: str
    plan: SourcePlan
    group: str = "default"
    priority: int = 0
    refuse_impossible: bool = True
    about: str = "{}"
    spec: str = "{}"
    unit_specs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Expanded:
    """A unit of a source is written out, or of it the `nodes` asked for. An answer to anything else than what is asked
    for changes nothing.

    The tasks enter as submitted ones do; `known` and `known_keys` are as in `Submitted`. `bytes` is what they keep in
    memory until they are final. With `exhausted` no unit comes after it. `rest` says that there is nothing now: the
    same unit is asked for again once a task of the source is final. Of a unit that has begun, `exhausted` says nothing
    and `rest` is a mistake.
    """

    source: RunId
    unit: int
    tasks: tuple[NewTask, ...] = ()
    bytes: int = 0
    exhausted: bool = False
    rest: bool = False
    known: tuple[tuple[TaskId, TaskState], ...] = ()
    known_keys: tuple[tuple[str, TaskId], ...] = ()
    nodes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ExpansionFailed:
    """What was asked of a source could not be written out; nothing more is asked of it until a user retries it."""

    source: RunId
    unit: int
    message: str
    nodes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceRetried:
    """A user lets a failed source go on with the unit that failed."""

    source: RunId


@dataclass(frozen=True, slots=True)
class UnitResized:
    """All tasks of an unfinished unit keep this much in memory now; each an equal part, until it is final."""

    source: RunId
    unit: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Started:
    """The attempt's process exists. `process` is JSON text with pid, start ticks and boot id; it began `ago` ms before
    this is told.
    """

    attempt: AttemptId
    epoch: int
    process: str = "{}"
    ago: int = 0


@dataclass(frozen=True, slots=True)
class StartRefused:
    """The driver looked once more and the device was not free; nothing was started and nothing is charged."""

    attempt: AttemptId
    epoch: int
    seen: tuple[DeviceSeen, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Parked:
    """A worker that lives on after its task: its id, and what it still holds (VRAM with the devices; memory in MiB)."""

    worker: AttemptId
    devices: tuple[Grant, ...] = ()
    memory_mib: int = 0


@dataclass(frozen=True, slots=True)
class Exited:
    """The attempt ended and its whole tree is proven gone, unless `stray`: then its allocation stays charged.

    With `parked` its worker lives on, and whatever the attempt left running belongs to that worker. `result` is JSON
    text that becomes the task's results in the same commit; the kernel passes it on unread, the journal leaves it out.
    """

    attempt: AttemptId
    epoch: int
    outcome: Outcome
    stray: bool = False
    parked: Parked | None = None
    result: str | None = None


@dataclass(frozen=True, slots=True)
class StrayGone:
    """What was left of an ended attempt is proven gone; its allocation comes back."""

    attempt: AttemptId
    epoch: int


@dataclass(frozen=True, slots=True)
class WorkerGone:
    """A parked worker and its whole tree are proven gone."""

    worker: AttemptId


@dataclass(frozen=True, slots=True)
class WorkerGrew:
    """A worker's memory grew over its cells, most likely by a leak; this attempt was its last. Its end follows."""

    worker: AttemptId
    attempt: AttemptId
    epoch: int
    grown_mib: int
    cells: int


@dataclass(frozen=True, slots=True)
class Cancelled:
    """A user cancels tasks. The answer is a `TasksAnswer`: which were touched and which were already final.

    `sources` are runs whose source is cancelled with all their live tasks, in one step. It means the same in `Held`,
    `Released` and `Reprioritised`.
    """

    tasks: tuple[TaskId, ...]
    reason: str = "cancelled by user"
    sources: tuple[RunId, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A user holds tasks back."""

    tasks: tuple[TaskId, ...]
    sources: tuple[RunId, ...] = ()


@dataclass(frozen=True, slots=True)
class Released:
    """A user lets held tasks go on to the state they would have now."""

    tasks: tuple[TaskId, ...]
    sources: tuple[RunId, ...] = ()


@dataclass(frozen=True, slots=True)
class GroupHeld:
    """A user holds a group: its tasks, and those it gets later."""

    group: str


@dataclass(frozen=True, slots=True)
class GroupReleased:
    """A user releases a group and the tasks held in it."""

    group: str


@dataclass(frozen=True, slots=True)
class Reprioritised:
    """A user gives tasks another priority (higher goes first)."""

    tasks: tuple[TaskId, ...]
    priority: int
    sources: tuple[RunId, ...] = ()


@dataclass(frozen=True, slots=True)
class Foreign:
    """A compute process on a device that is not ours. Another home that holds the device has pid 0."""

    pid: int
    user: str = ""
    name: str = ""
    vram_mib: int = 0

    @property
    def who(self) -> str:
        """Who it is, for people: `pid 4242 (ann)`, `passloop home 1f2e3d4c (ann)`."""
        return (f"pid {self.pid}" if self.pid else self.name) + (f" ({self.user})" if self.user else "")


@dataclass(frozen=True, slots=True)
class DeviceSeen:
    """What was seen of one device. `usable_mib` is its VRAM less what others use; ours does not count against it.

    `strays` are attempts of ours that ended but still hold it. `fault` is why it cannot be used at all, if so.
    `links` names the NVLink group, `numa` the memory node (-1 unknown).
    """

    uuid: str
    index: int
    name: str
    vram_mib: int
    usable_mib: int
    utilisation: int = 0
    foreign: tuple[Foreign, ...] = ()
    strays: tuple[int, ...] = ()
    fault: str = ""
    numa: int = -1
    links: str = ""
    virtual: bool = False


@dataclass(frozen=True, slots=True)
class DevicesSeen:
    """A look at devices. With `complete`, devices of the pool that are not named here are lost."""

    devices: tuple[DeviceSeen, ...]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class PoolDeclared:
    """A pool exists with this capacity (for a rate: per minute). Declaring it again resizes it."""

    name: PoolName
    kind: PoolKind
    capacity: int
    parent: PoolName | None = None
    dead_after: int = 120_000
    on_dead: str = "wait"


@dataclass(frozen=True, slots=True)
class PoolOpened:
    """A user opens a closed pool: it becomes half-open and is probed."""

    name: PoolName


@dataclass(frozen=True, slots=True)
class QuarantineReleased:
    """A user vouches for a quarantined device."""

    uuid: str


@dataclass(frozen=True, slots=True)
class DrainChanged:
    """The engine drains (claims nothing more) or stops draining. With `stop_running` what runs is ended too and
    goes back to ready at no cost."""

    draining: bool
    stop_running: bool = False


@dataclass(frozen=True, slots=True)
class PauseChanged:
    """The engine cannot record starts (disk full): nothing is admitted until it can."""

    paused: bool
    reason: str = ""


Event = (
    Submitted
    | SourceDeclared
    | Expanded
    | ExpansionFailed
    | SourceRetried
    | UnitResized
    | Started
    | StartRefused
    | Exited
    | StrayGone
    | WorkerGone
    | WorkerGrew
    | Cancelled
    | Held
    | Released
    | GroupHeld
    | GroupReleased
    | Reprioritised
    | DevicesSeen
    | PoolDeclared
    | PoolOpened
    | QuarantineReleased
    | DrainChanged
    | PauseChanged
)
