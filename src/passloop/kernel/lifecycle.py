"""Attempts start, are refused, end, and leave strays; a task becomes ready, and in the end final."""

from __future__ import annotations

from .closures import dead_end, ends_run, judge
from .device_pool import DeviceState
from .durations import KILL_MARGIN
from .events import Exited, Started, StartRefused, StrayGone
from .ids import AttemptId
from .instructions import Stop
from .learning import learn, learn_memory
from .ledger import correct_draws, discharge
from .parking import leave_worker, start_refused
from .pools import ScalarPool
from .records import Attempt, Task
from .retries import Counts, after_outcome
from .state import State
from .tasks import Outcome, OutcomeKind, TaskState
from .transitions import Verb, move
from .units import leave
from .wakeups import WakeUp

__all__ = [
    "GOES_ON",
    "RECALL",
    "STRAY",
    "cancel_beside_stray",
    "finish",
    "make_ready",
    "on_exited",
    "on_start_refused",
    "on_started",
    "on_stray_gone",
    "stop_attempt",
]

STRAY = "waits until what is left of its last attempt is gone"
"""The stop reason of a task that may be tried again once its stray is gone."""

RECALL = "called back from behind another"
"""The stop reason of a task whose attempt is to go back if it has not begun. One that has begun goes on to its end, so
no later engine may end it for this. Rows of older versions say "down", and cannot be told from those of a shutdown.
"""

GOES_ON = frozenset({"down", RECALL, STRAY})
"""Stop reasons of tasks that nobody wants to end for good."""

_FINAL_VERBS = {
    TaskState.SUCCEEDED: Verb.SUCCEED,
    TaskState.FAILED: Verb.FAIL,
    TaskState.CANCELLED: Verb.CANCEL,
}


def _current(state: State, attempt_id: AttemptId, epoch: int) -> Attempt | None:
    """The live attempt of this id, or None for a stale epoch: what it says changes nothing."""
    attempt = state.attempts.get(attempt_id)
    return attempt if attempt is not None and attempt.epoch == epoch else None


def on_started(state: State, event: Started) -> None:
    """The attempt's process exists. Heard again after a re-adoption, it changes nothing."""
    attempt = _current(state, event.attempt, event.epoch)
    if attempt is None or attempt.state not in ("admitted", "stopping") or attempt.started_at is not None:
        return
    task = state.tasks[attempt.task]
    attempt.started_at = task.started_at = max(attempt.admitted_at, state.now - event.ago)
    attempt.process = event.process
    if move(task, Verb.START) is TaskState.RUNNING:
        attempt.state = "running"
    if state.reserved and state.now - attempt.admitted_at >= KILL_MARGIN:
        state.stir()  # its bound counts from later: whoever waits for it may be passed by more
    if attempt.allocation.devices and state.workers.of(attempt.id) is not None:
        state.stir()  # its devices are looked at: others may be claimed behind it
    state.touch(task)
    state.touch_attempt(attempt)


def on_start_refused(state: State, event: StartRefused) -> None:
    """A device was not free after all: the task goes back to its place at no cost. The device takes what was seen, also
    where the attempt is over meanwhile: that is no word about it.
    """
    if event.seen:
        state.see(event.seen, complete=False)
    attempt = _current(state, event.attempt, event.epoch)
    if attempt is None or attempt.state == "stray":
        return
    task = state.tasks[attempt.task]
    attempt.state = "ended"
    attempt.ended_at = state.now
    attempt.outcome = Outcome(OutcomeKind.LOST, message=event.reason, engine_lost=True)
    state.touch_attempt(attempt)
    discharge(state, attempt)
    start_refused(state, attempt)
    task.attempt = None
    if task.stop_reason and task.stop_reason not in GOES_ON:
        _close(state, task, Verb.CANCEL, attempt.outcome)
        return
    task.stop_reason = ""
    if _is_past_deadline(task, state.now):
        task.message = f"its deadline passed before it could start: {event.reason}"
        _close(state, task, Verb.FAIL, attempt.outcome)
        return
    move(task, Verb.REFUSE)
    _hold_or_enqueue(state, task)


def on_exited(state: State, event: Exited) -> None:
    """The attempt ended. Its allocation comes back unless something of its tree still holds it."""
    attempt = _current(state, event.attempt, event.epoch)
    if attempt is None or attempt.state == "stray":
        return
    task = state.tasks[attempt.task]
    outcome = event.outcome
    attempt.outcome = outcome
    attempt.ended_at = _ended_at(state, attempt, outcome)
    attempt.state = "stray" if event.stray else "ended"
    state.touch_attempt(attempt)
    dead = judge(state, attempt, task, outcome)
    _blame_device(state, outcome)
    learn(state, attempt, outcome)
    task.exit_code = outcome.exit_code
    task.outcome = outcome.kind
    if event.stray:
        correct_draws(state, attempt)
    else:
        discharge(state, attempt)
    leave_worker(state, attempt, event)
    _decide(state, task, outcome, stray=event.stray)
    if task.final:
        task.ended_at = attempt.ended_at
    for pool in dead:
        fail_parked(state, pool)
    state.stir()


def _ended_at(state: State, attempt: Attempt, outcome: Outcome) -> int:
    """When it ended: as long after its start as it ran, for nobody may have been there to be told."""
    if outcome.ran is None or attempt.started_at is None:
        return state.now
    return min(state.now, attempt.started_at + outcome.ran)


def fail_parked(state: State, pool: ScalarPool) -> None:
    """A pool is dead: fail what can only run with it, where that is what its run or the pool's policy wants."""
    for task in list(state.tasks.values()):
        if task.state in (TaskState.READY, TaskState.BACKOFF) and dead_end(state, task) is pool:
            task.message = _dead(state, task, pool)
            finish(state, task, Verb.FAIL)


def _dead(state: State, task: Task, pool: ScalarPool) -> str:
    """Why a task fails; where its whole run is to end with it, the end of the turn sees to that."""
    message = f"pool {pool.name} is dead; passloop pools open {pool.name}, then retry"
    if ends_run(state, task, pool):
        state.turn.doomed.setdefault(task.run, message)
    return message


def on_stray_gone(state: State, event: StrayGone) -> None:
    """What was left of an ended attempt is gone; what it held comes back."""
    attempt = _current(state, event.attempt, event.epoch)
    if attempt is None or attempt.state != "stray":
        return
    attempt.state = "ended"
    state.touch_attempt(attempt)
    discharge(state, attempt)
    task = state.tasks.get(attempt.task)
    if task is not None and task.attempt is attempt:
        assert attempt.outcome is not None
        _decide(state, task, attempt.outcome, stray=False)


def stop_attempt(state: State, task: Task, reason: str) -> None:
    """Order the end of a task's live attempt; the task is stopping until that is proven."""
    attempt = task.attempt
    assert attempt is not None
    move(task, Verb.STOP)
    task.stop_reason = reason
    if attempt.state != "stopping":
        attempt.state = "stopping"
        state.touch_attempt(attempt)
    state.touch(task)
    if attempt.id in state.workers.kept_back:
        _end_unstarted(state, attempt, down=reason == "down")
        return
    grace = task.shape.spec.grace
    why = "down" if reason == "down" else "cancelled"
    state.turn.instructions.append(Stop(attempt.id, attempt.epoch, attempt.driver, grace, why))


def _end_unstarted(state: State, attempt: Attempt, *, down: bool) -> None:
    """No driver was given it yet, so there is nothing to wait for."""
    kind = OutcomeKind.LOST if down else OutcomeKind.CANCELLED
    outcome = Outcome(kind, message="stopped before it started", engine_lost=down)
    on_exited(state, Exited(attempt.id, attempt.epoch, outcome))


def _blame_device(state: State, outcome: Outcome) -> None:
    device = state.devices.devices.get(outcome.device or "")
    if device is not None and outcome.kind is OutcomeKind.DEVICE_FAULT:
        device.fault = f"reported: {outcome.message}"
        if device.state is not DeviceState.LOST:
            device.settle()
        state.touch_pool(state.devices.name)


def cancel_beside_stray(state: State, task: Task, reason: str) -> None:
    """A task that waits for its stray before another attempt is cancelled: there is nothing to wait for."""
    task.attempt = None
    task.message = task.stop_reason = reason
    _close(state, task, Verb.CANCEL, None)


def _decide(state: State, task: Task, outcome: Outcome, *, stray: bool) -> None:
    """Final, or ready again: by who stopped it first, then by the outcome and the task's budgets.

    Beside a stray a task can become final but gets no other attempt: it stops until the stray is gone, so that at
    most one attempt of a task ever lives.
    """
    task.message = outcome.message
    if task.state is TaskState.STOPPING and task.stop_reason not in GOES_ON:
        task.attempt = None
        task.message = task.stop_reason
        _close(state, task, Verb.CANCEL, outcome)
        return
    counts = Counts(
        task.counts_failures,
        task.counts_timeouts,
        task.counts_ooms,
        task.counts_losses,
        task.counts_faults,
        task.variant_from,
    )
    variants = len(task.shape.variants)
    after = after_outcome(outcome, counts, task.shape.spec.retries, variants=variants)
    verb = _FINAL_VERBS.get(after.state)
    if verb is None and stray:
        move(task, Verb.STOP)
        task.stop_reason = STRAY
        state.touch(task)
        return
    task.attempt = None
    task.stop_reason = ""
    _take_counts(task, after.counts)
    if outcome.kind is OutcomeKind.OUT_OF_MEMORY:
        learn_memory(state, task)
    if verb is not None:
        _close(state, task, verb, outcome)
        return
    due = state.now + _delay(state, task, outcome, after.delay)
    if _is_past_deadline(task, due):
        task.message = f"deadline passed before it could run again: {outcome.message}"
        _close(state, task, Verb.FAIL, outcome)
        return
    task.not_before = due if due > state.now else None
    make_ready(state, task)


def _delay(state: State, task: Task, outcome: Outcome, delay: int) -> int:
    """A task whose pool is closed parks there and waits for that pool alone; else it waits its own delay."""
    if outcome.kind is not OutcomeKind.RATE_LIMITED:
        return delay
    due = state.now + delay
    closures = (pool.closure for v in task.shape.variants for pool, _ in v.draws)
    parked = any(c is not None and c.probe is None and c.until is not None and c.until >= due for c in closures)
    return 0 if parked else delay


def _is_past_deadline(task: Task, due: int) -> bool:
    deadline = task.shape.spec.deadline
    return deadline is not None and due >= task.submitted_at + deadline


def _take_counts(task: Task, counts: Counts) -> None:
    task.counts_failures, task.counts_timeouts = counts.failures, counts.timeouts
    task.counts_ooms, task.counts_losses = counts.ooms, counts.losses
    task.counts_faults, task.variant_from = counts.faults, counts.variant_from


def make_ready(state: State, task: Task) -> None:
    """Put a task that waits for no task into the state it has now: held, backoff or ready."""
    state.touch(task)
    if task.held:
        if task.state is not TaskState.HELD:
            move(task, Verb.HOLD)
    elif task.not_before is not None and task.not_before > state.now:
        move(task, Verb.DELAY)
        state.wakeups.add(task.not_before, WakeUp.BACKOFF, str(task.id))
    elif (dead := dead_end(state, task)) is not None:
        task.message = _dead(state, task, dead)
        finish(state, task, Verb.FAIL)
    else:
        task.not_before = None
        if task.state is not TaskState.READY:
            move(task, Verb.UNBLOCK)
        state.enqueue(task)


def _hold_or_enqueue(state: State, task: Task) -> None:
    """A task that is ready already: to its place, or held."""
    state.touch(task)
    if task.held:
        move(task, Verb.HOLD)
    else:
        state.enqueue(task)


def _close(state: State, task: Task, verb: Verb, outcome: Outcome | None) -> None:
    if outcome is not None:
        task.exit_code = outcome.exit_code
        task.outcome = OutcomeKind.CANCELLED if verb is Verb.CANCEL else outcome.kind
    finish(state, task, verb)


def finish(state: State, task: Task, verb: Verb) -> None:
    """Give a task its one final state and tell those that wait for it, down the whole chain."""
    _end(state, task, verb)
    ended = [task]
    for cause in ended:
        for dependent_id in state.dependents.pop(cause.id, ()):
            dependent = state.tasks.get(dependent_id)
            if dependent is not None and _tell(state, dependent, cause):
                ended.append(dependent)


def _end(state: State, task: Task, verb: Verb) -> None:
    if task.state is TaskState.READY:
        state.dequeue(task)
    move(task, verb)
    task.ended_at = state.now
    task.not_before = None
    task.reservation = None
    state.touch(task)
    state.final.append(task)
    if task.shape.spec.warm_key is not None:
        state.workers.finish(task.run)
    if task.cell is not None:
        leave(state, task, task.cell)
    if task.key is not None and state.keys.get(task.key) == task.id and task.state is not TaskState.SUCCEEDED:
        del state.keys[task.key]


def _tell(state: State, dependent: Task, task: Task) -> bool:
    """A dependency became final: unblock its dependent, or abort it (True) if it needed success."""
    if dependent.final:
        return False
    wanted_success = any(dep.task == task.id and not dep.any_end for dep in dependent.after)
    if wanted_success and task.state is not TaskState.SUCCEEDED:
        dependent.message = f"task {task.id}, which it comes after, {task.state}"
        _end(state, dependent, Verb.ABORT)
        return True
    dependent.unmet.discard(task.id)
    if dependent.unmet or dependent.state is not TaskState.WAITING:
        return False
    dead = None if dependent.held else dead_end(state, dependent)
    if dead is not None:
        dependent.message = _dead(state, dependent, dead)
        _end(state, dependent, Verb.FAIL)
        return True
    make_ready(state, dependent)
    return False
