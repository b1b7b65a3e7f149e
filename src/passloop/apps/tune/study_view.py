"""A study as read from the store: each trial with what it was given, how it stands and what it left. It decides nothing
about what comes next, and holds nothing that the store does not.

A trial is the newest task of its key, so a trial that was tried again is one trial; one that was measured whole stays
so, though a later try fails. Parameters are those of the task's own order; a document that speaks of others is not
taken for the trial's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import msgspec

from passloop.kernel.tasks import FINAL_STATES, AttemptRow, OutcomeKind, TaskState
from passloop.store.filters import TaskFilter

from .records import Document, Failure, Order, Params

if TYPE_CHECKING:
    from passloop.store.reader import Reader, TaskView

__all__ = ["ORDER", "Trial", "key_of", "trials_of"]

ORDER = "PASSLOOP_TRIAL"
"""The variable that holds a trial's order."""
_KINDS = {
    OutcomeKind.TIMEOUT: "time_limit",
    OutcomeKind.OUT_OF_MEMORY: "out_of_memory",
    OutcomeKind.DEVICE_FAULT: "device",
}
_FOUND = ("complete", "pruned")
_STATES = {
    TaskState.ADMITTED: "running",
    TaskState.RUNNING: "running",
    TaskState.STOPPING: "running",
    TaskState.CANCELLED: "cancelled",
    TaskState.ABORTED: "cancelled",
    TaskState.REJECTED: "rejected",
}

_order = msgspec.json.Decoder(Order)
_document = msgspec.json.Decoder(Document)


class _Payload(msgspec.Struct):
    env: dict[str, str] = {}


_payload = msgspec.json.Decoder(_Payload)


def key_of(study: str, hash: str) -> str:
    """The key of a trial's task."""
    return f"tune:{study}:{hash}"


@dataclass(frozen=True)
class Trial:
    """One trial. Times are engine time in ms; `gpu_ms` is what its ended attempts held GPUs for, all tries counted."""

    order: Order
    task: int
    run: int
    task_state: TaskState
    outcome: OutcomeKind | None
    message: str
    gpus: tuple[str, ...]
    attempt: int
    submitted_at: int
    started_at: int | None
    ended_at: int | None
    gpu_ms: int
    document: Document | None
    complaint: str = ""

    @property
    def number(self) -> int:
        """Its number in the study."""
        return self.order.trial

    @property
    def params(self) -> Params:
        """What was asked of the sampler."""
        return self.order.params

    @property
    def hash(self) -> str:
        """Of its configuration."""
        return self.order.hash

    @property
    def is_final(self) -> bool:
        """Whether its task is over."""
        return self.task_state in FINAL_STATES

    @cached_property
    def state(self) -> str:
        """queued, running, complete, pruned, failed, cancelled or rejected. What a trial found stands, though its
        process was stopped after it: it tells once its server is gone.
        """
        if self.document is not None and (self.document.state in _FOUND or self.task_state is TaskState.SUCCEEDED):
            return self.document.state
        return _STATES.get(self.task_state, "failed" if self.is_final else "queued")

    @cached_property
    def failure(self) -> Failure | None:
        """Why it failed, by its own word, else by how its task ended."""
        if self.state == "rejected":
            return Failure(kind="device", message=self.message or "it can never fit here", phase="queued")
        if self.state != "failed":
            return None
        if self.document is not None and self.document.failure is not None:
            return self.document.failure
        kind = _KINDS.get(self.outcome, "crash") if self.outcome is not None else "crash"
        said = self.complaint or self.message or "it left no results"
        return Failure(kind=kind, message=said, phase="")

    @property
    def millis(self) -> int | None:
        """From the start of its process to its end, once both are known."""
        return None if self.started_at is None or self.ended_at is None else self.ended_at - self.started_at


def trials_of(reader: Reader, study: str) -> tuple[Trial, ...]:
    """All trials of a study, by number."""
    newest: dict[str, Trial] = {}
    for view in reader.tasks(TaskFilter(keys=(key_of(study, "*"),))):
        order = _order_of(view)
        if order is not None:
            before = newest.get(order.hash)
            held = _held(reader, view) + (before.gpu_ms if before is not None else 0)
            found = _trial(view, order, held)
            kept = before is not None and before.state == "complete" and found.is_final and found.state != "complete"
            newest[order.hash] = replace(before, gpu_ms=found.gpu_ms) if before is not None and kept else found
    return tuple(sorted(newest.values(), key=lambda trial: (trial.number, trial.task)))


def _order_of(view: TaskView) -> Order | None:
    """What a task was told; None for one that is no trial (a key is any text that a user gives)."""
    try:
        return _order.decode(_payload.decode(view.payload).env[ORDER])
    except (msgspec.DecodeError, KeyError):
        return None


def _trial(view: TaskView, order: Order, gpu_ms: int) -> Trial:
    row, latest = view.row, view.latest
    document, complaint = _document_of(view.results, order) if row.state in FINAL_STATES else (None, "")
    return Trial(
        order=order,
        task=row.id,
        run=row.run,
        task_state=row.state,
        outcome=row.outcome,
        message=row.message,
        gpus=tuple(grant.uuid for grant in latest.allocation.devices) if latest is not None else (),
        attempt=row.attempts,
        submitted_at=row.submitted_at,
        started_at=row.started_at,
        ended_at=row.ended_at,
        gpu_ms=gpu_ms,
        document=document,
        complaint=complaint,
    )


def _held(reader: Reader, view: TaskView) -> int:
    """GPU-milliseconds of a task's attempts that have ended."""
    attempts: Iterable[AttemptRow] = () if view.latest is None else (view.latest,)
    if view.row.attempts > 1:
        attempts = reader.attempts(view.row.id)
    return sum(
        len(each.allocation.devices) * (each.ended_at - each.admitted_at)
        for each in attempts
        if each.ended_at is not None
    )


def _document_of(results: str | None, order: Order) -> tuple[Document | None, str]:
    """What a trial left, and why it is not taken."""
    if results is None:
        return None, ""
    try:
        document = _document.decode(results)
    except msgspec.DecodeError as error:
        return None, f"its results are not readable: {error}"
    if document.hash != order.hash or document.params != order.params:
        return None, f"its results are of configuration {document.hash}, not of {order.hash}"
    if document.trial != order.trial:
        return msgspec.structs.replace(document, trial=order.trial), ""
    return document, ""
