"""A user's `retry`: new tasks with the key, spec and dependencies of old ones that ended badly, in the same runs.

A final task stays final. The dependents that an old task had aborted are remade with it, so that a chain goes on where
it broke. Nothing is decided here: what comes out are submissions like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from passloop.kernel.events import Submitted
from passloop.kernel.ids import RunId, TaskId
from passloop.kernel.tasks import FINAL_STATES, Dependency, NewTask, TaskState
from passloop.store.filters import TaskFilter, ranges_of
from passloop.store.reader import Reader, TaskView

from .engine import Engine
from .errors import Refused

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
    """What is to be remade, in the order of ids (so after what it depends on), and what is not; `gone` are those of its
    dependencies that are not there any more.
    """

    views: list[TaskView]
    unchanged: dict[TaskId, str] = field(default_factory=dict)
    newest: dict[int, int] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)


async def retry(engine: Engine, tasks: Sequence[TaskId], *, note: Callable[[RunId], object] | None = None) -> Retried:
    """Retry these tasks. Durable when it returns; raises as `Engine.submit` does, but for refusals: whom these leave
    out is told in `unchanged`. Before an error some may have been made: `note` is told each run that got new tasks.

    Of two who retry a task at once, one is told that the other did.
    """
    async with engine.retries:
        return await _retry(engine, tasks, note)


async def _retry(engine: Engine, tasks: Sequence[TaskId], note: Callable[[RunId], object] | None) -> Retried:
    plan = await engine.read(lambda reader: _plan(reader, tasks))
    made: dict[int, int] = {}
    refused: dict[TaskId, str] = {}
    for place, views in groupby(plan.views, key=_place_of):
        batch = _not_after(views, refused)
        if not batch:
            continue
        try:
            answer = await engine.submit(_submission(place, _new_tasks(batch, made, plan)))
        except Refused as why:  # an `rm` came in between: it concerns no other batch
            refused |= {TaskId(view.row.id): why.message for view in batch}
            continue
        made.update(zip((view.row.id for view in batch), answer.tasks, strict=True))
        if note is not None:
            note(place[0])
    return Retried(
        changed=tuple(TaskId(old) for old in made),
        created=tuple(TaskId(new) for new in made.values()),
        unchanged=tuple((plan.unchanged | refused).items()),
    )


def _place_of(view: TaskView) -> tuple[RunId, str, int]:
    return view.row.run, view.row.group, view.row.priority


def _submission(place: tuple[RunId, str, int], tasks: tuple[NewTask, ...]) -> Submitted:
    run, group, priority = place
    return Submitted(name="", run=run, group=group, priority=priority, tasks=tasks, refuse_impossible=False)


def _not_after(views: Iterable[TaskView], refused: dict[TaskId, str]) -> list[TaskView]:
    """Those that come after none that was refused; the others are added to these."""
    kept = []
    for view in views:
        lost = next((need.task for need in view.after if need.task in refused), None)
        if lost is None:
            kept.append(view)
        else:
            refused[TaskId(view.row.id)] = f"task {lost}, which it comes after, was not retried"
    return kept


def _plan(reader: Reader, tasks: Sequence[TaskId]) -> _Plan:
    chosen: dict[int, TaskView] = {}
    views = reader.tasks(TaskFilter(ids=ranges_of(tasks))) if tasks else []
    plan = _Plan(views=[], gone=_gone(reader, views))
    retried = _retried(reader, views)
    for view in views:
        reason = _why_not(view, retried) or _what_it_lacks(view, plan.gone)
        if reason:
            plan.unchanged[TaskId(view.row.id)] = reason
        else:
            chosen[view.row.id] = view
    if chosen:
        aborted = reader.tasks(ALL_ABORTED)
        plan.gone |= _gone(reader, aborted)
        _add_aborted(plan, chosen, aborted, _retried(reader, aborted))
    plan.views = [chosen[task] for task in sorted(chosen)]
    plan.newest = _newest(reader, {need.task for view in plan.views for need in view.after} - chosen.keys())
    return plan


def _gone(reader: Reader, views: Iterable[TaskView]) -> set[int]:
    """Those that these tasks come after and that are not there: removed, as a rule, which only final ones can be."""
    needs = {need.task for view in views for need in view.after}
    return needs - set(reader.task_ids(TaskFilter(ids=ranges_of(needs)))) if needs else needs


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


def _what_it_lacks(view: TaskView, gone: Container[int]) -> str:
    """Why a task cannot be made again without those that are gone; empty if it can. One that began had all that it
    needs; of any other, nobody knows whether they succeeded.
    """
    lost = next((need.task for need in view.after if need.task in gone and not need.any_end), None)
    if lost is None or view.row.attempts:
        return ""
    return f"task {lost}, which it comes after, is not there any more"


def _add_aborted(
    plan: _Plan, chosen: dict[int, TaskView], aborted: Iterable[TaskView], retried: Container[int]
) -> None:
    """Add the tasks that were aborted because of chosen ones. In the order of ids one walk finds all of them."""
    for view in sorted(aborted, key=lambda view: view.row.id):
        hit = any(need.task in chosen and not need.any_end for need in view.after)
        if not hit or view.row.id in retried:
            continue
        reason = _what_it_lacks(view, plan.gone)
        if reason:
            plan.unchanged[TaskId(view.row.id)] = reason
        else:
            chosen.setdefault(view.row.id, view)


def _newest(reader: Reader, tasks: Iterable[int]) -> dict[int, int]:
    """Each task's newest retry that is there, or itself."""
    found: dict[int, int] = {}
    for task in tasks:
        current: int | None = task
        while current is not None and (view := reader.task(current)) is not None:
            found[task], current = current, view.row.retried_by
    return found


def _new_tasks(views: Sequence[TaskView], made: Mapping[int, int], plan: _Plan) -> tuple[NewTask, ...]:
    within: dict[int, int] = {view.row.id: -1 - position for position, view in enumerate(views)}

    def now_called(task: int) -> int:
        return within.get(task) or made.get(task) or plan.newest.get(task, task)

    return tuple(
        NewTask(
            spec=view.spec,
            payload=view.payload,
            key=view.row.key,
            index=view.row.index,
            rank=view.row.rank,
            after=tuple(
                Dependency(now_called(need.task), any_end=need.any_end)
                for need in view.after
                if need.task not in plan.gone
            ),
            retry_of=TaskId(view.row.id),
        )
        for view in views
    )
