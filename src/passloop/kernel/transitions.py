"""The state table of a task: every legal move, and the only code that sets a state.

Rows are states, columns are verbs. An unlisted pair raises `IllegalEvent` and changes nothing. An attempt may end
before its start was heard of, so `admitted` allows what `running` does.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from .errors import IllegalEvent
from .tasks import TaskState as S

if TYPE_CHECKING:
    from .records import Task

__all__ = ["TABLE", "Verb", "move"]


class Verb(StrEnum):
    """What can be done to a task."""

    UNBLOCK = "unblock"
    DELAY = "delay"
    HOLD = "hold"
    AWAIT = "await"
    ADMIT = "admit"
    REFUSE = "refuse"
    START = "start"
    STOP = "stop"
    SUCCEED = "succeed"
    FAIL = "fail"
    CANCEL = "cancel"
    ABORT = "abort"
    REJECT = "reject"


_ENDED = {
    Verb.SUCCEED: S.SUCCEEDED,
    Verb.FAIL: S.FAILED,
    Verb.CANCEL: S.CANCELLED,
    Verb.UNBLOCK: S.READY,
    Verb.DELAY: S.BACKOFF,
    Verb.HOLD: S.HELD,
    Verb.STOP: S.STOPPING,
}

TABLE: dict[S, dict[Verb, S]] = {
    S.WAITING: {
        Verb.UNBLOCK: S.READY,
        Verb.DELAY: S.BACKOFF,
        Verb.HOLD: S.HELD,
        Verb.CANCEL: S.CANCELLED,
        Verb.ABORT: S.ABORTED,
        Verb.FAIL: S.FAILED,
        Verb.REJECT: S.REJECTED,
    },
    S.HELD: {
        Verb.UNBLOCK: S.READY,
        Verb.DELAY: S.BACKOFF,
        Verb.AWAIT: S.WAITING,
        Verb.CANCEL: S.CANCELLED,
        Verb.ABORT: S.ABORTED,
        Verb.FAIL: S.FAILED,
    },
    S.BACKOFF: {Verb.UNBLOCK: S.READY, Verb.HOLD: S.HELD, Verb.CANCEL: S.CANCELLED, Verb.FAIL: S.FAILED},
    S.READY: {
        Verb.ADMIT: S.ADMITTED,
        Verb.HOLD: S.HELD,
        Verb.CANCEL: S.CANCELLED,
        Verb.FAIL: S.FAILED,
        Verb.REJECT: S.REJECTED,
    },
    S.ADMITTED: {**_ENDED, Verb.START: S.RUNNING, Verb.REFUSE: S.READY},
    S.RUNNING: _ENDED,
    S.STOPPING: {**_ENDED, Verb.REFUSE: S.READY, Verb.START: S.STOPPING},
    S.SUCCEEDED: {},
    S.FAILED: {},
    S.CANCELLED: {},
    S.ABORTED: {},
    S.REJECTED: {},
}


def move(task: Task, verb: Verb) -> S:
    """Move a task; returns its new state. Raises `IllegalEvent`, with the task's story, for an unlisted pair."""
    state = TABLE[task.state].get(verb)
    if state is None:
        raise IllegalEvent(f"task {task.id} is {task.state} and cannot {verb}: {task.story()}")
    task.state = state
    return state
