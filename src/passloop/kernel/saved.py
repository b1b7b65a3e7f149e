"""What the store gives back at start: the rows from which a machine is rebuilt."""

from __future__ import annotations

from dataclasses import dataclass

from .changes import DurationLearned, GroupChanged, PoolChanged, SettingChanged
from .source_rows import Cell, SourcePlan, SourceRow, UnitRow
from .tasks import AttemptRow, Dependency, RunRow, TaskRow, TaskSpec

__all__ = ["Saved", "SavedSource", "SavedTask"]


@dataclass(frozen=True, slots=True)
class SavedTask:
    """A task that is not final, with its spec (equal specs are the same object) and what it waits for."""

    row: TaskRow
    spec: TaskSpec
    after: tuple[Dependency, ...] = ()
    cell: Cell | None = None


@dataclass(frozen=True, slots=True)
class SavedSource:
    """A source that is not over, or that failed and may be retried."""

    row: SourceRow
    plan: SourcePlan


@dataclass(frozen=True, slots=True)
class Saved:
    """Everything live. `known` has the final states of dependencies that are named by live tasks.

    `runs` are those of live tasks; `units` are the unfinished ones of `sources`.

    `attempts` are those not ended (strays too); `durations` the last 1,000 of each class, oldest first. `next_*` are
    the next free ids, `last_now` the latest stored engine time in ms.
    """

    tasks: tuple[SavedTask, ...] = ()
    runs: tuple[RunRow, ...] = ()
    attempts: tuple[AttemptRow, ...] = ()
    pools: tuple[PoolChanged, ...] = ()
    groups: tuple[GroupChanged, ...] = ()
    durations: tuple[DurationLearned, ...] = ()
    settings: tuple[SettingChanged, ...] = ()
    known: tuple[tuple[int, str], ...] = ()
    sources: tuple[SavedSource, ...] = ()
    units: tuple[UnitRow, ...] = ()
    next_run: int = 1
    next_task: int = 1
    next_attempt: int = 1
    last_now: int = 0
