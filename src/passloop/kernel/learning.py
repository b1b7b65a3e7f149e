"""What the machine learns from how an attempt ended: run times of successes, what it cost to switch a worker to a key,
and which variant is too small for tasks that take alike of memory.

Everything learned is stored in the turn that learned it. It must never learn from anything but an event.
"""

from __future__ import annotations

from .changes import DurationLearned
from .lessons import LESSONS
from .records import Attempt, Shape, Task
from .state import State
from .tasks import LEASES, Outcome, OutcomeKind, TaskState

__all__ = ["begin_as_learned", "learn", "learn_memory"]


def learn(state: State, attempt: Attempt, outcome: Outcome) -> None:
    """An attempt has ended: how long it ran counts if it succeeded, what it loaded in any case."""
    spec = attempt.shape.spec
    if attempt.started_at is None:
        return
    if outcome.kind is OutcomeKind.SUCCESS and spec.driver != LEASES:
        ran = state.now - attempt.started_at if outcome.ran is None else outcome.ran
        sample = DurationLearned(spec.task_class, spec.program, ran)
        state.durations.learn(sample)
        state.turn.facts.append(sample)
    if outcome.loading is not None and spec.warm_key is not None:
        state.lessons.learn_cost(spec.warm_key, outcome.loading + _coming_up(state, attempt, attempt.started_at))
        state.touch_pool(LESSONS)


def _coming_up(state: State, attempt: Attempt, started_at: int) -> int:
    """How long the attempt's worker took to come up, others that were in its way included; 0 for one that was there."""
    worker = state.workers.of(attempt.id)
    return started_at - attempt.admitted_at if worker is not None and worker.id == attempt.id else 0


def learn_memory(state: State, task: Task) -> None:
    """A task ran out of memory and moved on to another variant: those alike that have not started do the same."""
    if not task.shape.spec.alike or not task.variant_from:
        return
    if not state.lessons.learn_variant(_kind(state, task), task.variant_from):
        return
    state.touch_pool(LESSONS)
    for other in list(state.tasks.values()):
        if other is not task and other.run == task.run and other.shape is task.shape and _has_not_started(other):
            _move_on(state, other, task.variant_from)


def begin_as_learned(state: State, task: Task) -> None:
    """A task is new: it begins with the variant after the one that was too little for those alike."""
    if task.shape.spec.alike:
        _begin_with(task, state.lessons.variant(_kind(state, task)))


def _kind(state: State, task: Task) -> str:
    """What a task has in common with those alike: its run, its class and what it asks."""
    return f"{task.run} {task.shape.spec.task_class} {_request_of(state, task.shape)}"


def _request_of(state: State, shape: Shape) -> str:
    return " or ".join(state.workers.request(variant) for variant in shape.variants)


def _has_not_started(task: Task) -> bool:
    return task.state in (TaskState.WAITING, TaskState.HELD, TaskState.BACKOFF, TaskState.READY)


def _move_on(state: State, task: Task, variant: int) -> None:
    if task.variant_from >= variant:
        return
    is_ready = task.state is TaskState.READY
    if is_ready:
        state.dequeue(task)
    _begin_with(task, variant)
    state.touch(task)
    if is_ready:
        state.enqueue(task)


def _begin_with(task: Task, variant: int) -> None:
    """Pass over the variants before this one as if each had been tried: so no try more is left than to those alike."""
    task.variant_from = max(task.variant_from, variant)
    task.counts_ooms = max(task.counts_ooms, variant)
