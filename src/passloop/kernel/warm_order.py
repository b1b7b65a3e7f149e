"""Who comes sooner because a worker is warm, and by how much at most.

Inside a run, and among tasks of one priority, group and request, those whose key is parked may be served before those
of another key, so that a key is drained before it is switched. How long a worker may pass others by is learned: as long
as it takes that switching to the other key and back costs a tenth of that time, and by so many tasks as usually run in
it. Where nobody has told what loading costs, it passes by `OVERTAKES_MOST` tasks at most and for `OVERTAKING_MOST` ms.
It begins anew only when it was served in its turn. As whoever comes first in order is passed by parked workers only,
and each of them so often, nobody starves.

Tasks that are known to be short may be claimed ahead: they wait behind a worker's live task and take over what it
holds, so that the worker never waits for a commit. Only who would come next is claimed, at most `AHEAD_MOST` tasks and
`AHEAD_MS` of work behind one worker; who has waited there for `RECALL_AFTER` ms is called back.
"""

from __future__ import annotations

from collections.abc import Sequence

from .events import PoolKind
from .ids import AttemptId
from .instructions import Stop
from .ledger import admit_behind
from .lifecycle import RECALL
from .presence import parked_grants
from .ready_queue import Lane, Lanes
from .records import Attempt, Shape, Task
from .resources import Grant
from .state import State
from .tasks import TaskState
from .transitions import Verb, move
from .wakeups import WakeUp
from .workers import WORKERS, Worker

__all__ = ["call_back", "claim_ahead", "is_parked_for", "note_overtaking", "overtaking_lane"]

OVERTAKES_MOST = 64
OVERTAKING_MOST = 600_000
WORTH = 10
"""Others are passed by for this many times what it costs to switch to their key and back."""

WORTH_MOST = 3_600_000
"""The longest, in ms, that others are passed by for what was learned."""

AHEAD_MOST = 32
AHEAD_MS = 100
RECALL_AFTER = 1_000


def overtaking_lane(state: State, lanes: Lanes, at: int) -> Lane | None:
    """The lane after the one at `at` whose first task a parked worker may serve before its turn, if there is one."""
    if at + 1 >= len(lanes) or not state.workers.by_id:
        return None
    first = lanes[at]
    run = _run_of(first)
    parked = [w for w in state.workers.by_id.values() if w.run == run and w.parked]
    if not parked:  # mostly: the first tasks of few lanes are of a run that has workers
        return None
    requests = state.workers.requests(first.shape)
    parked = [w for w in parked if w.request in requests]
    if not parked or any(w.warm_key == first.shape.spec.warm_key for w in parked):
        return None
    for lane in lanes.ordered[at + 1 :]:
        if _run_of(lane) != run:
            return None
        if any(_serves(state, w, lane.shape) and _may_overtake(state, w, first.shape, lane.shape) for w in parked):
            return lane
    return None


def _run_of(lane: Lane) -> int:
    return -1 if lane.head is None else lane.head[0]


def _serves(state: State, worker: Worker, shape: Shape) -> bool:
    return worker.warm_key == shape.spec.warm_key and worker.request in state.workers.requests(shape)


def _may_overtake(state: State, worker: Worker, first: Shape, later: Shape) -> bool:
    """Whether a worker may pass by the first task for a later one of its own key."""
    times, span = _bounds(state, worker, first, later)
    within = not worker.overtakes or state.now - worker.overtaking_since <= span
    return worker.overtakes < times and within


def _bounds(state: State, worker: Worker, first: Shape, later: Shape) -> tuple[int, int]:
    """How many tasks a worker passes by at most, and for how many ms."""
    back = state.lessons.cost(worker.warm_key)
    if back is None:
        return OVERTAKES_MOST, OVERTAKING_MOST
    key = first.spec.warm_key
    there = 0 if key is None else state.lessons.cost(key)
    span = min(WORTH * (back + (back if there is None else there)), WORTH_MOST)
    mean = later.forecast.mean()
    return (OVERTAKES_MOST if mean is None else span // max(mean, 1)), span


def is_parked_for(state: State, task: Task, variant_index: int, grants: Sequence[Grant]) -> bool:
    """Whether a parked worker of the task's key has exactly these devices."""
    variant = task.shape.variants[variant_index]
    return any(tuple(grants) == held for held in parked_grants(state, task.run, task.shape, variant))


def note_overtaking(state: State, task: Task) -> None:
    """A task was served before its turn."""
    worker = None if task.attempt is None else state.workers.of(task.attempt.id)
    assert worker is not None
    worker.overtakes = worker.spent + 1
    if worker.overtakes == 1:
        worker.overtaking_since = state.now
    state.touch_pool(WORKERS)


def claim_ahead(state: State) -> bool:
    """Once who starts is decided: let those who would come next wait behind a live task of their key, if short.

    True if anybody does: then others may be first now.
    """
    if state.draining or state.paused or not state.workers.by_id:
        return False
    before = state.next_attempt
    while (task := _next_task(state)) is not None:
        worker = _shortest_line(state, task)
        if worker is None:
            break
        if task.reservation is not None:
            state.reserved.remove(task)
        else:
            state.queue.remove(task)
        admit_behind(state, task, worker, task.shape.variants[0].index)
        _wake_to_recall(state)
    return state.next_attempt > before


def _next_task(state: State) -> Task | None:
    """The task that would come next of all: the first that has reserved, else the first unless groups take turns."""
    if state.reserved:
        return state.reserved[0]
    if not state.queue.priorities:
        return None
    level = state.queue.levels[state.queue.priorities[0]]
    head = next(iter(level.values()))[0].head if len(level) == 1 else None
    return None if head is None else state.tasks[head[3]]


def _shortest_line(state: State, task: Task) -> Worker | None:
    """The worker with the fewest attempts behind which the task may wait."""
    shape = task.shape
    if shape.spec.warm_key is None or len(shape.variants) > 1 or shape.exclusive:
        return None
    p95 = shape.forecast.class_p95()
    if p95 is None or any(pool.kind is not PoolKind.AMOUNT for pool, _ in shape.variants[0].draws):
        return None
    most = AHEAD_MOST if not p95 else min(AHEAD_MOST, AHEAD_MS // p95)
    able = [
        worker
        for worker in state.workers.by_id.values()
        if worker.attempts
        and worker.run == task.run
        and len(worker.attempts) <= most
        and _serves(state, worker, shape)
        and _goes_well(state, worker, state.attempts[worker.attempts[0]])
    ]
    return min(able, key=lambda worker: (len(worker.attempts), worker.id), default=None)


def _goes_well(state: State, worker: Worker, live: Attempt) -> bool:
    """Whether the live attempt was given its start, is not being stopped, and is not unexpectedly long.

    One whose devices are still looked at may yet be refused, and who waits behind it would reach the worker first.
    """
    waits = live.id in state.workers.kept_back
    is_looked_at = live.state == "admitted" and bool(live.allocation.devices) and not worker.promoted
    is_short = state.now - live.admitted_at < RECALL_AFTER
    return live.state in ("admitted", "running") and is_short and not waits and not is_looked_at


def _wake_to_recall(state: State) -> None:
    """One wake-up for all that wait behind."""
    if state.workers.recall_at is None:
        state.workers.recall_at = state.now + RECALL_AFTER
        state.wakeups.add(state.workers.recall_at, WakeUp.WORKER)


def call_back(state: State) -> None:
    """Call back who has waited behind a live task for too long: another worker may be free sooner."""
    known = state.workers
    if known.recall_at is not None and known.recall_at <= state.now:
        known.recall_at = None
    for worker in known.by_id.values():
        behind = worker.attempts[1:]
        if not behind:
            continue
        if state.attempts[behind[0]].admitted_at + RECALL_AFTER <= state.now:
            for attempt in behind:
                _recall(state, attempt)
        if any(state.attempts[attempt].state == "admitted" for attempt in behind):
            _wake_to_recall(state)


def _recall(state: State, attempt_id: AttemptId) -> None:
    attempt = state.attempts[attempt_id]
    task = state.tasks[attempt.task]
    if task.state is not TaskState.ADMITTED:
        return
    move(task, Verb.STOP)
    task.stop_reason = RECALL
    attempt.state = "stopping"
    state.touch(task)
    state.touch_attempt(attempt)
    state.turn.instructions.append(Stop(attempt.id, attempt.epoch, attempt.driver, 0, "recall"))
