"""Tasks come in: keys, dependencies, what can never fit. A submission is granted whole or refused whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .changes import Refusal, RunAdded, SubmitAnswer
from .closures import give_another_chance
from .events import Submitted
from .fitting import could_ever_fit
from .ids import RunId, TaskId
from .learning import begin_as_learned
from .lifecycle import finish, make_ready
from .misfits import explain_misfit
from .records import Group, Shape, Task
from .source_records import LiveCell, Unit
from .source_rows import Cell
from .state import State
from .tasks import FINAL_STATES, Dependency, NewTask, RunRow, TaskRow, TaskState
from .transitions import Verb, move
from .wakeups import WakeUp

__all__ = ["Intake", "bad_dependency", "on_submitted", "take_in"]


@dataclass(frozen=True, slots=True)
class Intake:
    """With what tasks come in. `known` and `known_keys` are as in `Submitted`; `unit` is theirs if they have one, and
    `groups` those of its nodes; else there is one for all.

    With `refusable` what can never fit was refused before, so that nothing is rejected.
    """

    run: RunId
    groups: Sequence[Group]
    priority: int
    known: dict[TaskId, TaskState]
    known_keys: dict[str, TaskId]
    refusable: bool
    unit: Unit | None = None


def on_submitted(state: State, event: Submitted) -> SubmitAnswer | Refusal:
    """Add the tasks of a submission, or answer why not."""
    refusal = _nowhere(event) or _impossible(state, event) or bad_dependency(state, event.tasks, event.known)
    if refusal is not None:
        return refusal
    intake = Intake(
        run=_run(state, event),
        groups=(state.group(event.group),),
        priority=event.priority,
        known=dict(event.known),
        known_keys=dict(event.known_keys),
        refusable=event.refuse_impossible,
    )
    for spec in {id(new.spec): new.spec for new in event.tasks}.values():
        give_another_chance(state, state.shape(spec))
    ids, existing = take_in(state, intake, event.tasks)
    return SubmitAnswer(intake.run, tuple(ids), tuple(existing))


def take_in(state: State, intake: Intake, tasks: Sequence[NewTask]) -> tuple[list[TaskId], list[TaskId]]:
    """Add these tasks; gives the task of each, in order, and those that a key had already made."""
    shapes = {id(new.spec): state.shape(new.spec) for new in {id(n.spec): n for n in tasks}.values()}
    ids: list[TaskId] = []
    existing: list[TaskId] = []
    for new in tasks:
        found = _existing(state, new, intake.known_keys)
        if found is not None:
            existing.append(found)
            ids.append(found)
        else:
            ids.append(_add(state, intake, new, shapes[id(new.spec)], _resolve(new.after, ids)))
    return ids, existing


def _run(state: State, event: Submitted) -> RunId:
    if event.run is not None:
        return event.run
    run = RunId(state.next_run)
    state.next_run += 1
    row = RunRow(run, event.name or f"run-{run}", event.group, state.now)
    state.turn.added.append(RunAdded(row, event.about))
    return run


def _existing(state: State, new: NewTask, known_keys: dict[str, TaskId]) -> TaskId | None:
    """The live or succeeded task of the same key."""
    if new.key is None:
        return None
    live = state.keys.get(new.key)
    return TaskId(live) if live is not None else known_keys.get(new.key)


def _nowhere(event: Submitted) -> Refusal | None:
    """A run that was removed gets no task: nobody would find it there."""
    return Refusal("not_found", f"there is no run {event.run} to add to") if event.run_gone else None


def _impossible(state: State, event: Submitted) -> Refusal | None:
    """A task that can never fit refuses the submission, unless it waits for capacity or the rest may run."""
    if not event.refuse_impossible:
        return None
    for spec in {id(new.spec): new.spec for new in event.tasks}.values():
        shape = state.shape(spec)
        if not spec.wait_for_capacity and not could_ever_fit(state, shape):
            return Refusal("never_fits", explain_misfit(state, shape))
    return None


def bad_dependency(state: State, tasks: Sequence[NewTask], final: Sequence[tuple[TaskId, TaskState]]) -> Refusal | None:
    """Why a dependency of these tasks cannot be, if so."""
    known = {int(task) for task, _ in final}
    for position, new in enumerate(tasks):
        for dependency in new.after:
            if dependency.task < 0 and -dependency.task > position:
                return Refusal("invalid", "a task can only come after an earlier task of its submission")
            if dependency.task > 0 and not (dependency.task in state.tasks or dependency.task in known):
                return Refusal("not_found", f"there is no task {dependency.task} to come after")
    return None


def _resolve(after: tuple[Dependency, ...], ids: list[TaskId]) -> tuple[Dependency, ...]:
    """Turn references inside the submission into task ids."""
    if not after:
        return after
    return tuple(dep if dep.task > 0 else Dependency(ids[-dep.task - 1], any_end=dep.any_end) for dep in after)


def _add(state: State, intake: Intake, new: NewTask, shape: Shape, after: tuple[Dependency, ...]) -> TaskId:
    group = intake.groups[new.node if intake.unit is not None else 0]
    task = Task(_first_row(state, intake, new, group), shape, group, after)
    task.held = new.held or group.keeper() is not None
    state.next_task += 1
    state.tasks[task.id] = task
    begin_as_learned(state, task)
    if new.key is not None:
        state.keys[new.key] = task.id
    if new.spec.warm_key is not None:
        state.workers.unfinished[intake.run] += 1
    cell = None
    if intake.unit is not None:
        cell = _join(task, intake.unit, new.node)
    _place(state, task, intake.known, refusable=intake.refusable)
    state.turn.fresh[task.id] = (new.spec, new.payload, task.after, cell)
    return task.id


def _join(task: Task, unit: Unit, node: int) -> Cell:
    """The task counts for its unit, and is held if its source is."""
    task.held = task.held or unit.source.held
    task.cell = LiveCell(unit, node)
    unit.count(1)
    unit.source.left += 1
    task.cell.node.live += 1
    return task.cell.row()


def _first_row(state: State, intake: Intake, new: NewTask, group: Group) -> TaskRow:
    return TaskRow(
        TaskId(state.next_task), intake.run, new.index, new.rank, new.key, group.name, intake.priority,
        TaskState.WAITING, False, 0, 0, 0, 0, 0, 0, None, 0, None, None, None, state.now, None, None, None, None, "",
        new.retry_of, None, "",
    )  # fmt: skip


def _place(state: State, task: Task, known: dict[TaskId, TaskState], *, refusable: bool) -> None:
    """Put a new task where it belongs: rejected, aborted, waiting, held or ready."""
    state.touch(task)
    spec = task.shape.spec
    if spec.deadline is not None:
        state.wakeups.add(state.now + spec.deadline, WakeUp.DEADLINE, str(task.id))
    if not refusable and not spec.wait_for_capacity and not could_ever_fit(state, task.shape):
        task.message = explain_misfit(state, task.shape)
        finish(state, task, Verb.REJECT)
        return
    for dependency in task.after:
        final = _final_state(state, TaskId(dependency.task), known)
        if final is None:
            task.unmet.add(dependency.task)
            state.dependents.setdefault(dependency.task, []).append(task.id)
        elif final is not TaskState.SUCCEEDED and not dependency.any_end:
            task.message = f"task {dependency.task}, which it comes after, {final}"
            finish(state, task, Verb.ABORT)
            return
    if not task.unmet:
        make_ready(state, task)
    elif task.held:
        move(task, Verb.HOLD)


def _final_state(state: State, task_id: TaskId, known: dict[TaskId, TaskState]) -> TaskState | None:
    task = state.tasks.get(task_id)
    if task is not None:
        return task.state if task.state in FINAL_STATES else None
    return known[task_id]
