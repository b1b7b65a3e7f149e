"""What people ask for: cancel, hold, release, another priority. Commit order decides: an exit handled first stands."""

from __future__ import annotations

from collections.abc import Iterable

from .changes import TasksAnswer
from .events import Cancelled, GroupHeld, GroupReleased, Held, Released, Reprioritised
from .ids import RunId, TaskId
from .lifecycle import GOES_ON, STRAY, cancel_beside_stray, finish, make_ready, stop_attempt
from .records import Group, Task
from .source_records import Source
from .source_rows import SourceState
from .state import State
from .tasks import OutcomeKind, TaskState
from .transitions import Verb, move
from .units import end_source

__all__ = [
    "end_doomed",
    "on_cancelled",
    "on_group_held",
    "on_group_released",
    "on_held",
    "on_released",
    "on_reprioritised",
]

_HOLDABLE = {TaskState.WAITING, TaskState.BACKOFF, TaskState.READY}
_LIVE = {TaskState.ADMITTED, TaskState.RUNNING, TaskState.STOPPING}


class _Sorting:
    """Which tasks a request changed and which it left alone, with the reason."""

    def __init__(self, state: State, wanted: Iterable[TaskId], runs: Iterable[RunId]) -> None:
        self.changed: list[TaskId] = []
        self.unchanged: list[tuple[TaskId, str]] = []
        self.live: list[Task] = []
        self.sources = [state.sources[run] for run in dict.fromkeys(runs) if run in state.sources]
        self.changed_sources: list[RunId] = []
        for task_id in _with_tasks_of(state, wanted, self.sources):
            task = state.tasks.get(task_id)
            if task is None:
                self.leave(task_id, "it is final already")
            elif task.final:
                self.leave(task_id, f"it {task.state} already")
            else:
                self.live.append(task)

    def change(self, task: Task) -> None:
        self.changed.append(task.id)

    def leave(self, task_id: TaskId, reason: str) -> None:
        self.unchanged.append((task_id, reason))

    def change_source(self, state: State, source: Source) -> None:
        self.changed_sources.append(source.run)
        state.touch_source(source)
        state.stir()

    def answer(self) -> TasksAnswer:
        return TasksAnswer(tuple(self.changed), tuple(self.unchanged), tuple(self.changed_sources))


def _with_tasks_of(state: State, wanted: Iterable[TaskId], sources: list[Source]) -> Iterable[TaskId]:
    """The tasks wanted and all live ones of the runs of these sources, each once."""
    if not sources:
        return wanted
    runs = {source.run for source in sources}
    live = (task.id for task in state.tasks.values() if task.run in runs and not task.final)
    return dict.fromkeys((*wanted, *live))


def on_cancelled(state: State, event: Cancelled) -> TasksAnswer:
    """End tasks for good: at once if nothing runs, else when the tree is proven gone."""
    sorting = _Sorting(state, event.tasks, event.sources)
    reason = f"cancelled: {event.reason}" if event.reason in GOES_ON else event.reason  # these words mean another thing
    for source in sorting.sources:
        if source.state not in (SourceState.EXHAUSTED, SourceState.CANCELLED):
            end_source(state, source, SourceState.CANCELLED, reason)
            sorting.change_source(state, source)
    for task in sorting.live:
        if task.final:
            sorting.leave(task.id, f"it {task.state} already")
            continue
        if task.state is TaskState.STOPPING and task.stop_reason not in GOES_ON:
            sorting.leave(task.id, "it is being stopped already")
            continue
        sorting.change(task)
        if task.state is TaskState.STOPPING and task.stop_reason == STRAY:
            cancel_beside_stray(state, task, reason)
        elif task.state in _LIVE:
            stop_attempt(state, task, reason)
        else:
            task.message = reason
            task.outcome = OutcomeKind.CANCELLED
            finish(state, task, Verb.CANCEL)
    return sorting.answer()


def end_doomed(state: State) -> None:
    """End the runs that wanted to end as a whole when a pool they need is dead: what is to come is cancelled."""
    while state.turn.doomed:
        run, message = state.turn.doomed.popitem()
        live = tuple(task.id for task in state.tasks.values() if task.run == run and not task.final)
        on_cancelled(state, Cancelled(live, message, sources=(RunId(run),)))


def on_held(state: State, event: Held) -> TasksAnswer:
    """Hold tasks back. What runs goes on; its retries are held."""
    sorting = _Sorting(state, event.tasks, event.sources)
    _hold_sources(state, sorting, held=True)
    for task in sorting.live:
        if task.held:
            sorting.leave(task.id, "it is held already")
        else:
            _hold(state, task)
            sorting.change(task)
    return sorting.answer()


def on_released(state: State, event: Released) -> TasksAnswer:
    """Let held tasks go on to the state they would have now."""
    sorting = _Sorting(state, event.tasks, event.sources)
    _hold_sources(state, sorting, held=False)
    for task in sorting.live:
        if not task.held:
            sorting.leave(task.id, "it is not held")
        else:
            _release(state, task)
            sorting.change(task)
    return sorting.answer()


def on_group_held(state: State, event: GroupHeld) -> TasksAnswer:
    """Hold a group: its tasks now, and those it gets later."""
    group = state.group(event.group)
    group.held = True
    state.touch_group(group)
    tasks = tuple(t.id for t in state.tasks.values() if group in t.group.chain and not t.held and not t.final)
    return on_held(state, Held(tasks, _sources_of(state, group)))


def on_group_released(state: State, event: GroupReleased) -> TasksAnswer:
    """Release a group and every task held in it, but what another group keeps that is in it or that it is in."""
    group = state.group(event.group)
    group.held = False
    state.touch_group(group)
    inside = [task for task in state.tasks.values() if group in task.group.chain and task.group.keeper() is None]
    tasks = tuple(task.id for task in inside if task.held and not task.final)
    sources = [run for run in _sources_of(state, group) if state.group(state.sources[run].group).keeper() is None]
    return on_released(state, Released(tasks, tuple(sources)))


def _sources_of(state: State, group: Group) -> tuple[RunId, ...]:
    return tuple(source.run for source in state.sources.values() if group in state.group(source.group).chain)


def _hold_sources(state: State, sorting: _Sorting, *, held: bool) -> None:
    for source in sorting.sources:
        if source.held is not held:
            source.held = held
            sorting.change_source(state, source)


def on_reprioritised(state: State, event: Reprioritised) -> TasksAnswer:
    """Give tasks another priority; a ready task moves to its new place, a reservation is given up."""
    sorting = _Sorting(state, event.tasks, event.sources)
    for source in sorting.sources:
        if source.priority != event.priority:
            source.priority = event.priority
            sorting.change_source(state, source)
    for task in sorting.live:
        if task.priority == event.priority:
            sorting.leave(task.id, f"it has priority {event.priority} already")
            continue
        if task.state is TaskState.READY:
            state.dequeue(task)
            task.priority = event.priority
            state.enqueue(task)
        else:
            task.priority = event.priority
        state.touch(task)
        sorting.change(task)
    return sorting.answer()


def _hold(state: State, task: Task) -> None:
    task.held = True
    state.touch(task)
    if task.state in _HOLDABLE:
        if task.state is TaskState.READY:
            state.dequeue(task)
        move(task, Verb.HOLD)


def _release(state: State, task: Task) -> None:
    task.held = False
    state.touch(task)
    if task.state is TaskState.HELD:
        if task.unmet:
            move(task, Verb.AWAIT)
        else:
            make_ready(state, task)
