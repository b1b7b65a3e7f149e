"""What comes after an outcome: a pure function of the outcome, the counts so far and the policy."""

from __future__ import annotations

from typing import NamedTuple

from .cooldowns import RETRY_AFTER_MOST
from .tasks import Outcome, OutcomeKind, RetryBudgets, TaskState

__all__ = ["Counts", "Next", "after_outcome", "backoff"]


class Counts(NamedTuple):
    """Outcomes of one task so far, by class; `variant_from` is the first variant it may still use."""

    failures: int = 0
    timeouts: int = 0
    ooms: int = 0
    losses: int = 0
    faults: int = 0
    variant_from: int = 0


class Next(NamedTuple):
    """Where the task goes: a final state, or ready again after `delay` ms (0 = at once), with its new counts."""

    state: TaskState
    counts: Counts
    delay: int = 0


def backoff(count: int, budgets: RetryBudgets) -> int:
    """Delay in ms before the try after the `count`-th outcome of a class (from 1): doubling, capped."""
    return min(budgets.backoff_first << min(count - 1, 30), budgets.backoff_most)


def after_outcome(outcome: Outcome, counts: Counts, budgets: RetryBudgets, *, variants: int) -> Next:
    """Decide what follows an outcome of a task whose request has `variants` variants."""
    match outcome.kind:
        case OutcomeKind.SUCCESS:
            return Next(TaskState.SUCCEEDED, counts)
        case OutcomeKind.CANCELLED:
            return Next(TaskState.CANCELLED, counts)
        case OutcomeKind.RATE_LIMITED:
            return Next(TaskState.READY, counts, delay=_asked_for(outcome) or budgets.backoff_first)
        case OutcomeKind.LOST:
            return _after_loss(outcome, counts, budgets)
        case OutcomeKind.DEVICE_FAULT:
            return _after_fault(counts, budgets)
        case OutcomeKind.OUT_OF_MEMORY:
            return _after_out_of_memory(outcome, counts, budgets, variants)
        case OutcomeKind.TIMEOUT:
            timeouts = counts.timeouts + 1
            new = counts._replace(timeouts=timeouts)
            return _counted(outcome, new, timeouts, budgets.timeout, budgets)
        case OutcomeKind.FAILURE if outcome.uncounted:
            return Next(TaskState.FAILED if outcome.final else TaskState.READY, counts, delay=_asked_for(outcome))
        case OutcomeKind.FAILURE:
            failures = counts.failures + 1
            new = counts._replace(failures=failures)
            return _counted(outcome, new, failures, budgets.failure, budgets)


def _after_loss(outcome: Outcome, counts: Counts, budgets: RetryBudgets) -> Next:
    if outcome.engine_lost:
        return Next(TaskState.READY, counts, delay=_asked_for(outcome))
    losses = counts.losses + 1
    return _counted(outcome, counts._replace(losses=losses), losses, budgets.lost, budgets)


def _after_fault(counts: Counts, budgets: RetryBudgets) -> Next:
    """The device is to blame: the first fault costs nothing, later ones count as losses."""
    if counts.faults == 0:
        return Next(TaskState.READY, counts._replace(faults=1))
    losses = counts.losses + 1
    new = counts._replace(faults=counts.faults + 1, losses=losses)
    return Next(TaskState.READY if losses <= budgets.lost else TaskState.FAILED, new, backoff(losses, budgets))


def _after_out_of_memory(outcome: Outcome, counts: Counts, budgets: RetryBudgets, variants: int) -> Next:
    """A retry moves on to the next variant where there is one."""
    ooms = counts.ooms + 1
    new = counts._replace(ooms=ooms, variant_from=min(counts.variant_from + 1, variants - 1))
    return _counted(outcome, new, ooms, budgets.out_of_memory, budgets)


def _counted(outcome: Outcome, counts: Counts, count: int, budget: int, budgets: RetryBudgets) -> Next:
    if outcome.final or count > budget:
        return Next(TaskState.FAILED, counts)
    return Next(TaskState.READY, counts, delay=max(backoff(count, budgets), _asked_for(outcome)))


def _asked_for(outcome: Outcome) -> int:
    """What the other side, or a driver, asked to wait, in ms, clamped as a pool's cooldown is."""
    return min(outcome.retry_after or 0, RETRY_AFTER_MOST)
