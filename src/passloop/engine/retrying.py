"""A user's `retry`: new tasks with the key, spec and dependencies of old ones that ended badly, in the same runs.

A final task stays final. The dependents that an old task had aborted are remade with it, so that a chain goes on where
it broke. Nothing is decided here: what comes out are submissions like any other.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from passloop.kernel.events import Submitted
from passloop.kernel.ids import RunId, TaskId
from passloop.kernel.tasks import FINAL_STATES, Dependency, NewTask, TaskState
from passloop.store.filters import TaskFilter, ranges_of
from passloop.store.reader import Reader, TaskView

from .engine import Engine

__all__ = ["Retried", "retry"]

ALL_ABORTED = TaskFilter(states=(TaskState.ABORTED.value,))


@dataclass(frozen=True, slots=True)
class Retried:
    """Old tasks that were retried, the new tasks of them in the same order, and what was left alone with the reason."""

    changed: tuple[TaskId, ...]
    created: tuple[TaskId, ...]
    unchanged: tuple[tuple[TaskId, str], ...]


@dataclass(slots=True)
class _Plan:
    """What is to be remade, in the order of ids (so after what it depends on), and what is not."""

    views: list[TaskView]
    unchanged: list[tuple[TaskId, str]] = field(default_factory=list)
    newest: dict[int, int] = field(default_factory=dict)


async def retry(engine: Engine, tasks: Sequence[TaskId]) -> Retried:
    """Retry these tasks. Durable when it returns; raises as `Engine.submit` does.

    Of two who retry a task at once, one is told that the other did.
    """
    async with engine.retries:
        return await _retry(engine, tasks)


async def _retry(engine: Engine, tasks: Sequence[TaskId]) -> Retried:
    plan = await engine.read(lambda reader: _plan(reader, tasks))
    made: dict[int, int] = {}
    for (run, group, priority), views in groupby(plan.views, key=_place_of):
        batch = tuple(views)
        event = Submitted(
            name="",
            run=RunId(run),
            group=group,
            priority=priority,
            tasks=_new_tasks(batch, made, plan.newest),
            refuse_impossible=False,
        )
        answer = await engine.submit(event)
        made.update(zip((view.row.id for view in batch), answer.tasks, strict=True))
    return Retried(
        changed=tuple(TaskId(old) for old in made),
        created=tuple(TaskId(new) for new in made.values()),
        unchanged=tuple(plan.unchanged),
    )


def _place_of(view: TaskView) -> tuple[int, str, int]:
    return view.row.run, view.row.group, view.row.priority


def _plan(reader: Reader, tasks: Sequence[TaskId]) -> _Plan:
    chosen: dict[int, TaskView] = {}
    plan = _Plan(views=[])
    views = reader.tasks(TaskFilter(ids=ranges_of(tasks))) if tasks else []
    retried = _retried(reader, views)
    for view in views:
        reason = _why_not(view, retried)
        if reason:
            plan.unchanged.append((TaskId(view.row.id), reason))
        else:
            chosen[view.row.id] = view
    if chosen:
        aborted = reader.tasks(ALL_ABORTED)
        _add_aborted(chosen, aborted, _retried(reader, aborted))
    plan.views = [chosen[task] for task in sorted(chosen)]
    plan.newest = _newest(reader, {need.task for view in plan.views for need in view.after} - chosen.keys())
    return plan


def _retried(reader: Reader, views: Iterable[TaskView]) -> set[int]:
    """Those of them that were retried by a task that is there: a repair can lose it, and older versions removed it."""
    by = {view.row.id: view.row.retried_by for view in views if view.row.retried_by is not None}
    there = set(reader.task_ids(TaskFilter(ids=ranges_of(by.values())))) if by else set()
    return {task for task, retry in by.items() if retry in there}


def _why_not(view: TaskView, retried: Container[int]) -> str:
    """Why a task is not retried; empty if it is."""
    row = view.row
    if row.state not in FINAL_STATES:
        return f"it is {row.state}"
    if row.state is TaskState.SUCCEEDED:
        return "it succeeded already"
    if row.id in retried:
        return f"it was retried already, by task {row.retried_by}"
    return ""


def _add_aborted(chosen: dict[int, TaskView], aborted: Iterable[TaskView], retried: Container[int]) -> None:
    """Add the tasks that were aborted because of chosen ones. In the order of ids one walk finds all of them."""
    for view in sorted(aborted, key=lambda view: view.row.id):
        hit = any(need.task in chosen and not need.any_end for need in view.after)
        if hit and view.row.id not in retried:
            chosen.setdefault(view.row.id, view)


def _newest(reader: Reader, tasks: Iterable[int]) -> dict[int, int]:
    """Each task's newest retry that is there, or itself."""
    found: dict[int, int] = {}
    for task in tasks:
        current: int | None = task
        while current is not None and (view := reader.task(current)) is not None:
            found[task], current = current, view.row.retried_by
    return found


def _new_tasks(views: Sequence[TaskView], made: Mapping[int, int], newest: Mapping[int, int]) -> tuple[NewTask, ...]:
    within: dict[int, int] = {view.row.id: -1 - position for position, view in enumerate(views)}

    def now_called(task: int) -> int:
        return within.get(task) or made.get(task) or newest.get(task, task)

    return tuple(
        NewTask(
            spec=view.spec,
            payload=view.payload,
            key=view.row.key,
            index=view.row.index,
            rank=view.row.rank,
            after=tuple(Dependency(now_called(need.task), any_end=need.any_end) for need in view.after),
            retry_of=TaskId(view.row.id),
        )
        for view in views
    )
