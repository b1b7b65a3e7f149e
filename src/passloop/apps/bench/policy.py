"""What follows each class of error: how the kernel is told of it, and how often the cell is tried again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from .errors import ErrorClass

__all__ = ["POLICIES", "Budgets", "Policy", "budgets_of", "class_of_outcome", "one_less_of_memory", "retries_of"]


class Policy(NamedTuple):
    """`outcome` is the kernel's kind; `retries` the default; `of_model` whether it speaks against the model."""

    outcome: str
    retries: int
    of_model: bool


POLICIES: Mapping[ErrorClass, Policy] = {
    ErrorClass.CONFIG: Policy("failure", 0, of_model=False),
    ErrorClass.MODEL_MISSING: Policy("failure", 0, of_model=True),
    ErrorClass.DATASET: Policy("failure", 0, of_model=False),
    ErrorClass.LOAD_OOM: Policy("out_of_memory", 1, of_model=True),
    ErrorClass.RUN_OOM: Policy("out_of_memory", 1, of_model=True),
    ErrorClass.DEVICE_FAULT: Policy("device_fault", 1, of_model=False),
    ErrorClass.DEPENDENCY: Policy("failure", 0, of_model=False),
    ErrorClass.NETWORK: Policy("failure", 3, of_model=False),
    ErrorClass.TIME_LIMIT: Policy("timeout", 0, of_model=True),
    ErrorClass.WORKER_LOST: Policy("lost", 3, of_model=True),
    ErrorClass.HOST_OOM: Policy("out_of_memory", 1, of_model=True),
    ErrorClass.DISK: Policy("failure", 1, of_model=False),
    ErrorClass.BUG: Policy("failure", 0, of_model=True),
    ErrorClass.CANCELLED: Policy("cancelled", 0, of_model=False),
}

OUTCOMES = {
    "timeout": ErrorClass.TIME_LIMIT,
    "lost": ErrorClass.WORKER_LOST,
    "out_of_memory": ErrorClass.HOST_OOM,
    "device_fault": ErrorClass.DEVICE_FAULT,
    "cancelled": ErrorClass.CANCELLED,
    "failure": ErrorClass.BUG,
}


class Budgets(NamedTuple):
    """How often the kernel may try a task again; within `failure` the cell itself says when it is final."""

    failure: int
    timeout: int
    out_of_memory: int
    lost: int


def retries_of(said: Mapping[ErrorClass, int]) -> dict[ErrorClass, int]:
    """Tries again for every class: what the spec says, else the default."""
    return {each: said.get(each, policy.retries) for each, policy in POLICIES.items()}


def one_less_of_memory(retries: Mapping[ErrorClass, int]) -> dict[ErrorClass, int]:
    """The same for a cell that begins where one ends up that ran out of memory once."""
    return {
        each: max(0, count - 1) if POLICIES[each].outcome == "out_of_memory" else count
        for each, count in retries.items()
    }


def budgets_of(retries: Mapping[ErrorClass, int]) -> Budgets:
    """The kernel's budgets that leave room for these."""
    failure = sum(count for each, count in retries.items() if POLICIES[each].outcome == "failure")
    memory = [count for each, count in retries.items() if POLICIES[each].outcome == "out_of_memory"]
    return Budgets(failure, retries[ErrorClass.TIME_LIMIT], max(memory), retries[ErrorClass.WORKER_LOST])


def class_of_outcome(outcome: str | None) -> ErrorClass:
    """The class of an attempt that could not say so itself: killed, lost, out of time."""
    return OUTCOMES.get(outcome or "", ErrorClass.BUG)
