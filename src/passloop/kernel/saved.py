"""What the store gives back at start: the rows from which a machine is rebuilt."""

from __future__ import annotations

from dataclasses import dataclass

from .changes import DurationLearned, GroupChanged, PoolChanged, SettingChanged
from .tasks import AttemptRow, Dependency, RunRow, TaskRow, TaskSpec

__all__ = ["Saved", "SavedTask"]


@dataclass(frozen=True, slots=True)
class SavedTask:
    """A task that is not final, with its spec (equal specs are the same object) and what it waits for."""

    row: TaskRow
    spec: TaskSpec
    after: tuple[Dependency, ...] = ()


@dataclass(frozen=True, slots=True)
class Saved:
    """Everything live. `known` has the final states of dependencies that are named by live tasks.

    `runs` are those of live tasks; `attempts` those not ended (strays too); `durations` the last 1,000 of each
    class, oldest first. `next_*` are the next free ids, `last_now` the latest stored engine time in ms.
    """

    tasks: tuple[SavedTask, ...] = ()
    runs: tuple[RunRow, ...] = ()
    attempts: tuple[AttemptRow, ...] = ()
    pools: tuple[PoolChanged, ...] = ()
    groups: tuple[GroupChanged, ...] = ()
    durations: tuple[DurationLearned, ...] = ()
    settings: tuple[SettingChanged, ...] = ()
    known: tuple[tuple[int, str], ...] = ()
    next_run: int = 1
    next_task: int = 1
    next_attempt: int = 1
    last_now: int = 0
