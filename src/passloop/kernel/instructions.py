"""Everything the engine may be told to do. Carried out only after the turn is committed, each fenced by its epoch."""

from __future__ import annotations

from dataclasses import dataclass

from .ids import AttemptId, RunId, TaskId
from .resources import Allocation

__all__ = ["Evict", "Expand", "Instruction", "Start", "Stop", "WatchDevices"]


@dataclass(frozen=True, slots=True)
class Start:
    """Start this attempt with exactly this allocation. Spans in ms.

    `usable_mib` is, for each device granted, how much VRAM in MiB must still be usable: a whole device is granted
    whole, though a stranger may show a picture on it. Empty = as much as was granted. `worker` is the parked worker
    that is to run it, or to run it next; None with a `warm_key` means a new one, whose id is the attempt's.
    """

    attempt: AttemptId
    epoch: int
    run: RunId
    task: TaskId
    driver: str
    allocation: Allocation
    time_limit: int | None
    grace: int
    usable_mib: tuple[int, ...] = ()
    warm_key: str | None = None
    worker: AttemptId | None = None


@dataclass(frozen=True, slots=True)
class Stop:
    """End this attempt politely, then, after `grace` ms, surely. Before its start: forbid that attempt for ever."""

    attempt: AttemptId
    epoch: int
    driver: str
    grace: int
    reason: str


@dataclass(frozen=True, slots=True)
class Expand:
    """Write out this unit of a run's source and report it with `Expanded` or `ExpansionFailed`; asked for once.

    With `nodes` only their tasks are wanted: the others' came before (then the unit has `begun`) or come later.
    """

    source: RunId
    kind: str
    unit: int
    nodes: tuple[int, ...] = ()
    begun: bool = False


@dataclass(frozen=True, slots=True)
class Evict:
    """End this parked worker; `WorkerGone` follows when its whole tree is gone."""

    worker: AttemptId
    driver: str


@dataclass(frozen=True, slots=True)
class WatchDevices:
    """Look at these vetoed or quarantined devices at a low rate while somebody waits for them; empty = stop looking."""

    uuids: tuple[str, ...]


Instruction = Start | Stop | Evict | Expand | WatchDevices
