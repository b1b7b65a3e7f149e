"""Rows and batches for tests of the store: every value a row can have, without a machine that made it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from passloop.kernel.changes import AttemptChanged, Change, RunAdded, TaskAdded
from passloop.kernel.events import Event, Submitted
from passloop.kernel.ids import AttemptId, PoolName, TaskId
from passloop.kernel.resources import Allocation, DeviceAsk, Grant, Request, Variant
from passloop.kernel.tasks import (
    AttemptRow,
    Dependency,
    NewTask,
    Outcome,
    OutcomeKind,
    Reservation,
    RunRow,
    TaskRow,
    TaskSpec,
    TaskState,
)
from passloop.store.database import Batch

__all__ = [
    "ALLOCATION",
    "EVERY_DEPENDENCY",
    "SPEC",
    "a_batch",
    "a_full_task",
    "a_run",
    "a_submission",
    "a_task",
    "an_attempt",
    "an_end",
    "started",
]

CPU = PoolName("cpu")
SPEC = TaskSpec(
    Request((Variant(DeviceAsk(count=2, vram_mib=4_096, balance=True), ((CPU, 1_500),)), Variant(exclusive=True))),
    time_limit=60_000,
    task_class="train",
    program="train.py",
)
ALLOCATION = Allocation(variant=1, devices=(Grant("GPU-0", 10_000, 81_920),), amounts=((CPU, 1_500),), exclusive=True)


def a_run(number: int = 1, **fields: Any) -> RunAdded:
    """A new run."""
    row = RunRow(number, fields.pop("name", f"run-{number}"), fields.pop("group", "default"), 1_000)
    return RunAdded(row, fields.pop("about", '{"kind": "queue"}'))


def a_task(number: int = 1, **fields: Any) -> TaskRow:
    """A ready task's row; every field can be given."""
    values: dict[str, Any] = {
        "id": number,
        "run": 1,
        "index": number - 1,
        "rank": 0,
        "key": None,
        "group": "default",
        "priority": 0,
        "state": TaskState.READY,
        "held": False,
        "attempts": 0,
        "failures": 0,
        "timeouts": 0,
        "ooms": 0,
        "losses": 0,
        "faults": 0,
        "not_before": None,
        "variant_from": 0,
        "head_since": None,
        "patience": None,
        "reservation": None,
        "submitted_at": 1_000,
        "started_at": None,
        "ended_at": None,
        "outcome": None,
        "exit_code": None,
        "message": "",
        "retry_of": None,
        "retried_by": None,
        "stop_reason": "",
    }
    return TaskRow(**{**values, **fields})


def a_full_task(number: int = 1) -> TaskRow:
    """A task's row in which no field has its first value."""
    return a_task(
        number,
        rank=3,
        key="key 'one'",
        group="night",
        priority=-7,
        state=TaskState.BACKOFF,
        held=True,
        attempts=1,
        failures=2,
        timeouts=3,
        ooms=4,
        losses=5,
        faults=6,
        not_before=7,
        variant_from=1,
        head_since=8,
        patience=9,
        reservation=Reservation(1, 2, None, ALLOCATION),
        started_at=10,
        ended_at=11,
        outcome=OutcomeKind.OUT_OF_MEMORY,
        exit_code=-9,
        message="näher \u202e \x00",
        retry_of=12,
        retried_by=13,
        stop_reason="cancelled",
    )


def an_attempt(number: int = 1, **fields: Any) -> AttemptRow:
    """A running attempt's row; every field can be given."""
    values: dict[str, Any] = {
        "id": AttemptId(number),
        "task": TaskId(number),
        "epoch": 1,
        "state": "running",
        "driver": "processes",
        "allocation": ALLOCATION,
        "bound": 70_000,
        "bound_enforced": True,
        "charged": 7,
        "admitted_at": 1_000,
        "started_at": 1_001,
        "ended_at": None,
        "process": '{"pid": 1}',
        "outcome": None,
    }
    return AttemptRow(**{**values, **fields})


def an_end(number: int = 1, **fields: Any) -> AttemptRow:
    """The row of an attempt that succeeded."""
    return an_attempt(number, state="ended", ended_at=2_000, outcome=Outcome(OutcomeKind.SUCCESS, 0), **fields)


def a_batch(changes: Sequence[Change], *events: Event, now: int = 1_000, **fields: Any) -> Batch:
    """A batch with these changes."""
    ids = fields.pop("first_ids", (1, 1, 1))
    return Batch(events=events, now=now, seed=1, first_ids=ids, changes=tuple(changes), at=now, **fields)


def a_submission(count: int = 1, *, run: int = 1, first: int = 1, payload: str = "{}", **fields: Any) -> Batch:
    """A run with `count` tasks from id `first` on, as the engine would commit it; fields go to every row."""
    rows = [a_task(first + n, run=run, index=n, **fields) for n in range(count)]
    new = tuple(NewTask(SPEC, payload=payload, index=n) for n in range(count))
    changes = (a_run(run), *(TaskAdded(row, SPEC, payload, ()) for row in rows))
    return a_batch(changes, Submitted(f"run-{run}", new), first_ids=(run, first, 1))


def started(number: int, **fields: Any) -> AttemptChanged:
    """An attempt that runs."""
    return AttemptChanged(an_attempt(number, **fields))


EVERY_DEPENDENCY = (Dependency(1), Dependency(2, any_end=True))
