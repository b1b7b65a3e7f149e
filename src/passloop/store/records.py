"""Rows of the store to types of the kernel and back. Pure: it opens nothing, and is the only place that knows
which column holds JSON text and in which order the columns stand.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from passloop.kernel.resources import Allocation
from passloop.kernel.tasks import (
    AttemptRow,
    Dependency,
    Outcome,
    OutcomeKind,
    Reservation,
    TaskRow,
    TaskSpec,
    TaskState,
)

from .connection import REPAIR_HINT
from .errors import StoreDamaged
from .telling import told

__all__ = [
    "Values",
    "attempt_values",
    "decode_depends",
    "decode_json",
    "decode_spec",
    "encode_depends",
    "encode_json",
    "read_attempt",
    "read_task",
    "task_values",
]

Values = tuple[Any, ...]
"""A row as SQLite takes and gives it."""

T = TypeVar("T")

TASK_FIELDS = len(TaskRow._fields)
ATTEMPT_FIELDS = len(AttemptRow._fields)
_NO_DEPENDS = "[]"

_encoder = msgspec.json.Encoder()
_allocation = msgspec.json.Decoder(Allocation)
_outcome = msgspec.json.Decoder(Outcome)
_reservation = msgspec.json.Decoder(Reservation)
_spec = msgspec.json.Decoder(TaskSpec)
_depends = msgspec.json.Decoder(tuple[tuple[int, bool], ...])
_STATES = {state.value: state for state in TaskState}
_OUTCOMES = {kind.value: kind for kind in OutcomeKind}


def encode_json(value: object) -> str:
    """Compact JSON text of a kernel type."""
    return _encoder.encode(value).decode()


def decode_json(decode: Callable[[str], T], text: str, what: str) -> T:
    """Decode JSON text that the store itself wrote; anything else in it is damage, named by `what`."""
    try:
        return decode(text)
    except (msgspec.MsgspecError, ValueError, TypeError, LookupError) as error:
        raise StoreDamaged(f"the store's {what} cannot be read: {error}", hint=REPAIR_HINT) from error


@lru_cache(maxsize=1_024)
def decode_spec(text: str) -> TaskSpec:
    """A spec from its JSON text; equal texts give one object, also when a machine is rebuilt."""
    return decode_json(_spec.decode, text, "task spec")


def encode_depends(after: tuple[Dependency, ...]) -> str:
    """Dependencies as JSON text: [[task, any_end], ...] in their order."""
    return encode_json([(one.task, one.any_end) for one in after]) if after else _NO_DEPENDS


def decode_depends(text: str) -> tuple[Dependency, ...]:
    """Dependencies from their JSON text."""
    if text == _NO_DEPENDS:
        return ()
    pairs = decode_json(_depends.decode, text, "list of dependencies")
    return tuple(Dependency(task, any_end) for task, any_end in pairs)


def task_values(row: TaskRow) -> Values:
    """A task's row as bindings: its fields in order, the reservation as JSON text."""
    if row.reservation is None:
        return row
    reservation = encode_json(row.reservation)
    return tuple(reservation if value is row.reservation else value for value in row)


def read_task(values: Values) -> TaskRow:
    """A task from the first columns of `tasks`."""
    try:
        state = _STATES[values[7]]
        outcome = None if values[23] is None else _OUTCOMES[values[23]]
    except KeyError as error:
        raise StoreDamaged(f"task {values[0]} has the unknown state {error}", hint=REPAIR_HINT) from error
    text = values[19]
    reservation = None if text is None else decode_json(_reservation.decode, text, "reservation")
    return TaskRow._make(
        (
            *values[:7],
            state,
            bool(values[8]),
            *values[9:19],
            reservation,
            *values[20:23],
            outcome,
            *values[24:TASK_FIELDS],
        )
    )


def attempt_values(row: AttemptRow) -> Values:
    """An attempt's row as bindings: its fields in order, allocation and outcome as JSON text of what they tell."""
    outcome = None if row.outcome is None else encode_json(told(row.outcome))
    return (*row[:5], encode_json(told(row.allocation)), *row[6:12], outcome, row.charged)


def read_attempt(values: Values) -> AttemptRow:
    """An attempt from the columns of `attempts`."""
    allocation = decode_json(_allocation.decode, values[5], "allocation")
    outcome = None if values[12] is None else decode_json(_outcome.decode, values[12], "outcome")
    return AttemptRow._make((*values[:5], allocation, values[6], bool(values[7]), *values[8:12], outcome, values[13]))
