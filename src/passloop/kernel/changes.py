"""What became different in a turn: final rows, each at most once per turn, for the store to keep."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from .ids import RunId, TaskId
from .source_rows import Cell, SourcePlan, SourceRow, UnitRow
from .tasks import AttemptRow, Dependency, RunRow, TaskRow, TaskSpec

__all__ = [
    "Answer",
    "AttemptChanged",
    "Change",
    "DurationLearned",
    "GroupChanged",
    "PoolChanged",
    "Refusal",
    "RunAdded",
    "SettingChanged",
    "SourceAdded",
    "SourceAnswer",
    "SourceChanged",
    "SubmitAnswer",
    "TaskAdded",
    "TaskChanged",
    "TasksAnswer",
    "Turn",
    "UnitChanged",
]


class RunAdded(NamedTuple):
    """A new run, with what only the store keeps of it."""

    row: RunRow
    about: str


class TaskAdded(NamedTuple):
    """A new task, with what only the store keeps of it (spec, payload, dependencies)."""

    row: TaskRow
    spec: TaskSpec
    payload: str
    after: tuple[Dependency, ...]
    cell: Cell | None = None


class TaskChanged(NamedTuple):
    """A task's row as it is now."""

    row: TaskRow


class SourceAdded(NamedTuple):
    """A new source, with what never changes of it; `spec` and those of its units only the store keeps."""

    row: SourceRow
    plan: SourcePlan
    spec: str
    unit_specs: tuple[str, ...] = ()


class SourceChanged(NamedTuple):
    """A source's row as it is now."""

    row: SourceRow


class UnitChanged(NamedTuple):
    """A unit's row as it is now (new ones too)."""

    row: UnitRow


class AttemptChanged(NamedTuple):
    """An attempt's row as it is now (new ones too)."""

    row: AttemptRow


class PoolChanged(NamedTuple):
    """A pool as it is now: its kind and the JSON text of its state, from which it can be restored."""

    name: str
    kind: str
    state: str


class GroupChanged(NamedTuple):
    """A group as it is now; virtual time in ms of dominant share."""

    name: str
    virtual_time: int
    held: bool


class DurationLearned(NamedTuple):
    """A success took `millis`; filed under class and program."""

    task_class: str
    program: str
    millis: int


class SettingChanged(NamedTuple):
    """A small fact of the machine itself (draining, paused), by name, as JSON text."""

    name: str
    value: str


Change = (
    RunAdded
    | SourceAdded
    | SourceChanged
    | UnitChanged
    | TaskAdded
    | TaskChanged
    | AttemptChanged
    | PoolChanged
    | GroupChanged
    | DurationLearned
    | SettingChanged
)


@dataclass(frozen=True, slots=True)
class SubmitAnswer:
    """The run and, in order of submission, the task of each; `existing` are those a key had already made."""

    run: RunId
    tasks: tuple[TaskId, ...]
    existing: tuple[TaskId, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceAnswer:
    """The run that a declared source made."""

    run: RunId


@dataclass(frozen=True, slots=True)
class TasksAnswer:
    """Tasks that were changed, and tasks that were left alone with the reason for each; `sources` were changed, too."""

    changed: tuple[TaskId, ...]
    unchanged: tuple[tuple[TaskId, str], ...] = ()
    sources: tuple[RunId, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """An event that could not be granted; nothing changed. `code` is `never_fits`, `not_found` or `invalid`."""

    code: str
    message: str


Answer = SubmitAnswer | SourceAnswer | TasksAnswer | Refusal | None


class Turn(NamedTuple):
    """What one batch of events led to. `answers` are in the order of the events; `wake_at` is engine time in ms."""

    changes: tuple[Change, ...]
    instructions: tuple[object, ...]
    answers: tuple[Answer, ...]
    wake_at: int | None
    passed: bool
