"""Charging and releasing: the only callers of `take` and `give`. An allocation is given once and released once."""

from __future__ import annotations

from collections.abc import Sequence

from .amounts import SHARE_WHOLE
from .closures import plan_wake_up
from .cooldowns import Gate
from .ids import AttemptId, PoolName
from .pools import RatePool
from .presence import order_start, serve
from .records import Attempt, ShapeVariant, Task
from .resources import Allocation, Grant
from .state import State
from .tasks import AttemptRow
from .transitions import Verb, move
from .workers import Worker

__all__ = ["admit", "admit_behind", "charge", "correct_draws", "discharge"]

UNKNOWN_RUN_TIME = 60_000
"""What a group is charged for a task of which nothing is known, in ms."""


def admit(state: State, task: Task, variant: ShapeVariant, grants: Sequence[Grant]) -> None:
    """Claim a ready task for a new attempt, charge it and order its start."""
    amounts = tuple((pool.name, amount) for pool, amount in variant.draws)
    allocation = Allocation(variant.index, tuple(grants), amounts, variant.exclusive)
    worker = serve(state, task, variant, grants)
    attempt = _claim(state, task, allocation)
    charge(state, attempt)
    _begin_probes(state, task, variant)
    _charge_group(state, attempt)
    order_start(state, attempt, worker)


def admit_behind(state: State, task: Task, worker: Worker, variant: int) -> None:
    """Claim a ready task for an attempt that waits behind a worker's live one. Until that ended it holds no pieces; its
    run is on the node.
    """
    attempt = _claim(state, task, Allocation(variant))
    charge(state, attempt)
    order_start(state, attempt, worker)


def _claim(state: State, task: Task, allocation: Allocation) -> Attempt:
    attempt = _new_attempt(state, task, allocation)
    move(task, Verb.ADMIT)
    state.lose_work(task.group)
    if task.cell is not None:
        task.cell.node.ready -= 1
    task.reservation = None
    task.head_since = task.patience = None
    task.message = ""
    state.touch(task)
    state.touch_attempt(attempt)
    return attempt


def _new_attempt(state: State, task: Task, allocation: Allocation) -> Attempt:
    task.attempts += 1
    bound = task.shape.forecast.bound()
    row = AttemptRow(
        AttemptId(state.next_attempt),
        task.id,
        task.attempts,
        "admitted",
        task.shape.spec.driver,
        allocation,
        None if bound is None else bound[0],
        bound is not None and bound[1],
        state.now,
        None,
        None,
        "{}",
        None,
        0,
    )
    state.next_attempt += 1
    attempt = Attempt(row, run=task.run, shape=task.shape, group=task.group)
    state.attempts[attempt.id] = attempt
    task.attempt = attempt
    return attempt


def charge(state: State, attempt: Attempt, *, again: bool = False) -> None:
    """Take what the attempt's allocation says from every pool.

    With `again` (after a restart) a draw on a rate that is known is only named: it was drawn when the attempt was
    admitted, and corrected already if that has ended.
    """
    for name, amount in attempt.allocation.amounts:
        pool = state.pool(name)
        if again and isinstance(pool, RatePool):
            known = _really_drawn(attempt, name)
            pool.take_again(attempt.id, amount if known is None else known, attempt.admitted_at)
            continue
        pool.take(attempt.id, amount, state.now)
        if isinstance(pool, RatePool) and pool.is_known:
            state.touch_pool(name)
    state.devices.take(attempt.id, attempt.allocation.devices)
    if attempt.shape.on_node:
        state.node.take(attempt.id, attempt.run, exclusive=attempt.allocation.exclusive)


def discharge(state: State, attempt: Attempt) -> None:
    """Give back all the attempt holds, correct its rate draws and its group's charge; it is no longer known."""
    correct_draws(state, attempt)
    pools = state.pools
    for name, _ in attempt.allocation.amounts:
        pools[name].give(attempt.id)
    state.devices.give(attempt.id, attempt.allocation.devices)
    state.node.give(attempt.id)
    _settle_group(state, attempt)
    del state.attempts[attempt.id]
    state.stir()


def correct_draws(state: State, attempt: Attempt) -> None:
    """Replace what was estimated of rates by what was used, as soon as that is known, whatever a stray still holds."""
    pools = state.pools
    for name, _ in attempt.allocation.amounts:
        pool = pools[name]
        if isinstance(pool, RatePool):
            known = _really_drawn(attempt, name)
            if known is not None:
                pool.correct(attempt.id, known)
            if pool.is_known:
                state.touch_pool(name)


def _really_drawn(attempt: Attempt, name: PoolName) -> int | None:
    """What an ended attempt drew on a rate, if its outcome says so."""
    outcome = attempt.outcome
    if outcome is None:
        return None
    return 0 if outcome.untried else dict(outcome.used).get(name)


def _begin_probes(state: State, task: Task, variant: ShapeVariant) -> None:
    """A task that draws on a half-open pool is its probe."""
    for pool, _ in variant.draws:
        closure = pool.closure
        if closure is not None and closure.gate is Gate.HALF_OPEN:
            closure.send_probe(task.id, state.now)
            plan_wake_up(state, pool, closure)
            state.touch_pool(pool.name)


def _charge_group(state: State, attempt: Attempt) -> None:
    """Charge the group at admission: bound, else class mean, else a minute, of the dominant share."""
    bound = attempt.bound
    millis = bound if bound is not None else attempt.shape.forecast.mean() or UNKNOWN_RUN_TIME
    attempt.charged = millis * _dominant_share(state, attempt) // SHARE_WHOLE
    _charge_path(state, attempt, attempt.charged, pending=attempt.charged)


def _settle_group(state: State, attempt: Attempt) -> None:
    """Replace the charge by what the attempt really took."""
    start = attempt.started_at if attempt.started_at is not None else state.now
    actual = (state.now - start) * _dominant_share(state, attempt) // SHARE_WHOLE
    _charge_path(state, attempt, actual - attempt.charged, pending=-attempt.charged)
    attempt.charged = actual


def _charge_path(state: State, attempt: Attempt, millis: int, *, pending: int) -> None:
    """Charge the group and all that it is in; `pending` more of it is for live attempts."""
    for group in attempt.group.path:
        group.virtual_time += millis
        group.pending += pending
        state.note_settled(group)
        state.touch_group(group)


def _dominant_share(state: State, attempt: Attempt) -> int:
    """The largest part, in 1/10,000, that the attempt holds of any pool."""
    most = 0
    pools = state.pools
    for name, amount in attempt.allocation.amounts:
        capacity = pools[name].capacity
        if capacity > 0 and amount * SHARE_WHOLE > most * capacity:
            most = amount * SHARE_WHOLE // capacity
    if attempt.allocation.devices:
        held = sum(grant.share for grant in attempt.allocation.devices)
        most = max(most, held // max(1, len(state.devices.devices)))
    return most
