"""A dictionary model of the store: it keeps the rows that turns changed and gives them back as a machine is
saved.

It owns the accumulated rows of one machine and nothing else; it never asks the machine anything, so that
what it gives back is what a restart would really have. It refuses what a store must never be asked to do: a
second row for one id in one turn, a change of a final task, a row for a task that was never added.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from passloop.kernel.changes import (
    AttemptChanged,
    Change,
    DurationLearned,
    GroupChanged,
    PoolChanged,
    RunAdded,
    SettingChanged,
    SourceAdded,
    SourceChanged,
    TaskAdded,
    TaskChanged,
    UnitChanged,
)
from passloop.kernel.ids import TaskId
from passloop.kernel.saved import Saved, SavedSource, SavedTask
from passloop.kernel.source_rows import Cell, SourcePlan, SourceRow, SourceState, UnitRow
from passloop.kernel.tasks import (
    FINAL_STATES,
    AttemptRow,
    Dependency,
    RunRow,
    TaskRow,
    TaskSpec,
    TaskState,
)
from passloop.kernel.workers import WORKERS, Worker, workers_in

__all__ = ["Rows"]

LEARNED_KEPT = 1_000


@dataclass
class Rows:
    """Everything a store would hold after the turns so far, as plain dictionaries."""

    tasks: dict[int, TaskRow] = field(default_factory=dict)
    specs: dict[int, TaskSpec] = field(default_factory=dict)
    after: dict[int, tuple[Dependency, ...]] = field(default_factory=dict)
    runs: dict[int, RunRow] = field(default_factory=dict)
    sources: dict[int, SourceRow] = field(default_factory=dict)
    plans: dict[int, SourcePlan] = field(default_factory=dict)
    units: dict[tuple[int, int], UnitRow] = field(default_factory=dict)
    cells: dict[int, Cell] = field(default_factory=dict)
    attempts: dict[int, AttemptRow] = field(default_factory=dict)
    pools: dict[str, PoolChanged] = field(default_factory=dict)
    groups: dict[str, GroupChanged] = field(default_factory=dict)
    settings: dict[str, SettingChanged] = field(default_factory=dict)
    durations: list[DurationLearned] = field(default_factory=list)
    last_now: int = 0

    def keep(self, changes: Iterable[Change], now: int) -> None:
        """Apply one turn. Raises AssertionError on a change that no store may be given."""
        assert now >= self.last_now, "engine time went back"
        self.last_now = now
        seen: set[tuple[str, int | str]] = set()
        for change in changes:
            name = _identity(change)
            assert name is None or name not in seen, f"{name} changed twice in one turn"
            if name is not None:
                seen.add(name)
            self._keep_one(change)

    def _keep_one(self, change: Change) -> None:
        match change:
            case TaskAdded():
                self._add_task(change)
            case TaskChanged(row=row):
                self._change_task(row)
            case AttemptChanged(row=row):
                self._change_attempt(row)
            case RunAdded(row=row):
                assert row.id not in self.runs, f"run {row.id} added twice"
                self.runs[row.id] = row
            case SourceAdded(row=row, plan=plan):
                assert row.run in self.runs, f"source {row.run} has no run"
                assert row.run not in self.sources, f"source {row.run} added twice"
                self.sources[row.run], self.plans[row.run] = row, plan
            case SourceChanged(row=row):
                self._change_source(row)
            case UnitChanged(row=row):
                self._change_unit(row)
            case PoolChanged():
                self.pools[change.name] = change
            case GroupChanged():
                self.groups[change.name] = change
            case SettingChanged():
                self.settings[change.name] = change
            case DurationLearned():
                self.durations.append(change)

    def _add_task(self, change: TaskAdded) -> None:
        row = change.row
        assert row.id not in self.tasks, f"task {row.id} added twice"
        assert row.run in self.runs, f"task {row.id} names the unknown run {row.run}"
        self.tasks[row.id] = row
        self.specs[row.id] = change.spec
        self.after[row.id] = change.after
        if change.cell is not None:
            assert (row.run, change.cell.unit) in self.units, f"task {row.id} is of an unknown unit"
            self.cells[row.id] = change.cell

    def _change_source(self, row: SourceRow) -> None:
        old = self.sources[row.run]
        assert (row.unit >= old.unit, row.tasks >= old.tasks) == (True, True), f"source {row.run} went back: {row}"
        assert (row.kind, row.group, row.declared_at) == (old.kind, old.group, old.declared_at)
        self.sources[row.run] = row

    def _change_unit(self, row: UnitRow) -> None:
        old = self.units.get((row.run, row.unit))
        anew = old is None or old.ended_at is None or row.expanded_at >= old.ended_at
        assert anew, f"unit {row.unit} of {row.run} changed after its end"
        assert old is not None or row.unit == self.sources[row.run].unit - 1, f"unit {row.unit} came twice or early"
        self.units[row.run, row.unit] = row

    def _change_task(self, row: TaskRow) -> None:
        old = self.tasks[row.id]
        if old.state in FINAL_STATES:
            assert row == old._replace(retried_by=row.retried_by), f"final task {row.id} was changed: {row}"
        assert (row.run, row.index, row.rank, row.key, row.submitted_at, row.retry_of) == (
            old.run,
            old.index,
            old.rank,
            old.key,
            old.submitted_at,
            old.retry_of,
        ), f"task {row.id} lost its identity"
        self.tasks[row.id] = row

    def _change_attempt(self, row: AttemptRow) -> None:
        old = self.attempts.get(row.id)
        if old is not None:
            assert old.state != "ended", f"attempt {row.id} changed after its end"
            assert (row.task, row.epoch) == (old.task, old.epoch)
            waited_behind = not old.allocation.amounts and not old.allocation.devices
            assert row.allocation == old.allocation or waited_behind, f"attempt {row.id} holds something else"
        self.attempts[row.id] = row

    def state(self, task: int) -> TaskState:
        """The state of a task as stored."""
        return self.tasks[task].state

    def is_final(self, task: int) -> bool:
        """Whether the task has reached a final state."""
        return self.tasks[task].state in FINAL_STATES

    def in_state(self, *states: TaskState) -> list[TaskId]:
        """Ids of the tasks in any of these states, ascending."""
        return [TaskId(task) for task, row in sorted(self.tasks.items()) if row.state in states]

    def live(self) -> list[TaskId]:
        """Ids of the tasks that are not final, ascending."""
        return [TaskId(task) for task, row in sorted(self.tasks.items()) if row.state not in FINAL_STATES]

    def workers(self) -> list[Worker]:
        """The workers that are not proven gone, as stored."""
        kept = self.pools.get(WORKERS)
        return [] if kept is None else workers_in(kept.state)

    def worker_of(self, attempt: int) -> Worker:
        """The worker that has an attempt."""
        return next(worker for worker in self.workers() if attempt in worker.attempts)

    def kept_back(self) -> list[int]:
        """Admitted attempts whose start no driver was given yet."""
        kept = self.pools.get(WORKERS)
        return [] if kept is None else list(json.loads(kept.state)["kept_back"])

    def behind(self) -> list[int]:
        """Attempts that wait behind the live one of their worker."""
        return [attempt for worker in self.workers() for attempt in worker.attempts[1:]]

    def open_attempts(self) -> list[AttemptRow]:
        """Attempts that have not ended, strays included, oldest first."""
        return [row for _, row in sorted(self.attempts.items()) if row.state != "ended"]

    def attempt_of(self, task: int) -> AttemptRow:
        """The open attempt of a task that is admitted, running or stopping."""
        return next(row for row in reversed(self.open_attempts()) if row.task == task and row.state != "stray")

    def saved(self) -> Saved:
        """What a machine is restored from; final tasks too that a stray of theirs still holds something for."""
        open_attempts = tuple(self.open_attempts())
        kept = sorted({*self.live(), *(row.task for row in open_attempts)})
        tasks = tuple(SavedTask(self.tasks[t], self.specs[t], self.after[t], self.cells.get(t)) for t in kept)
        named = {dependency.task for task in tasks for dependency in task.after}
        known = tuple(
            (task, str(self.tasks[task].state)) for task in sorted(named) if self.tasks[task].state in FINAL_STATES
        )
        of_runs = {row.row.run for row in tasks}
        return Saved(
            tasks=tasks,
            runs=tuple(self.runs[run] for run in sorted(of_runs)),
            attempts=open_attempts,
            pools=tuple(self.pools.values()),
            groups=tuple(self.groups.values()),
            durations=self._last_durations(),
            settings=tuple(self.settings.values()),
            known=known,
            sources=tuple(
                SavedSource(row, self.plans[run])
                for run, row in sorted(self.sources.items())
                if row.ended_at is None or row.state is SourceState.FAILED
            ),
            units=tuple(row for _, row in sorted(self.units.items()) if row.ended_at is None),
            next_run=max(self.runs, default=0) + 1,
            next_task=max(self.tasks, default=0) + 1,
            next_attempt=max(self.attempts, default=0) + 1,
            last_now=self.last_now,
        )

    def _last_durations(self) -> tuple[DurationLearned, ...]:
        kept: list[DurationLearned] = []
        counts: dict[str, int] = {}
        for learned in reversed(self.durations):
            counts[learned.task_class] = counts.get(learned.task_class, 0) + 1
            if counts[learned.task_class] <= LEARNED_KEPT:
                kept.append(learned)
        return tuple(reversed(kept))

    def known_for(self, after: Iterable[Dependency]) -> tuple[tuple[TaskId, TaskState], ...]:
        """The final states of these dependencies, as an engine looks them up for a submit."""
        return tuple(
            (TaskId(dependency.task), self.tasks[dependency.task].state)
            for dependency in after
            if dependency.task > 0 and self.tasks[dependency.task].state in FINAL_STATES
        )

    def known_keys_for(self, keys: Iterable[str]) -> tuple[tuple[str, TaskId], ...]:
        """The newest task of each key that is live or succeeded, as an engine looks them up for a submit."""
        found: list[tuple[str, TaskId]] = []
        for key in keys:
            holders = [task for task, row in self.tasks.items() if row.key == key]
            newest = max(holders, default=None)
            if newest is not None and _answers_for_key(self.tasks[newest].state):
                found.append((key, TaskId(newest)))
        return tuple(found)


def _answers_for_key(state: TaskState) -> bool:
    return state not in FINAL_STATES or state is TaskState.SUCCEEDED


def _identity(change: Change) -> tuple[str, int | str] | None:
    match change:
        case TaskAdded(row=row) | TaskChanged(row=row):
            return "task", row.id
        case AttemptChanged(row=row):
            return "attempt", row.id
        case SourceAdded(row=row) | SourceChanged(row=row):
            return "source", row.run
        case UnitChanged(row=row):
            return "unit", f"{row.run}/{row.unit}"
        case RunAdded(row=row):
            return "run", row.id
        case PoolChanged(name=name):
            return "pool", name
        case GroupChanged(name=name):
            return "group", name
        case SettingChanged() | DurationLearned():
            return None
