"""What went on in a span of time: attempts, and the tasks that waited. For timelines; it reads and judges nothing."""

from __future__ import annotations

from typing import NamedTuple

import apsw

from passloop.kernel.tasks import AttemptRow, Dependency

from .records import ATTEMPT_FIELDS, Values, decode_depends, read_attempt
from .sql import statement

__all__ = ["Span", "WaitingTask", "read_looks", "read_spans", "read_waits"]

LOOKED_THROUGH = 20_000
"""Rows of the journal in which looks at devices are sought."""
MOST_LOOKS = 500


class Span(NamedTuple):
    """An attempt with what is written on its bar."""

    attempt: AttemptRow
    run: int
    state: str
    name: str


class WaitingTask(NamedTuple):
    """A task that was not final for a while; times in ms, `spec` is the number of its spec."""

    task: int
    state: str
    submitted_at: int
    ended_at: int | None
    spec: int
    after: tuple[Dependency, ...]


def read_spans(connection: apsw.Connection, since: int, until: int, *, limit: int) -> list[Span]:
    """The newest `limit` attempts under way between two times (ms), newest first."""
    bindings = {"since": since, "until": until, "limit": limit}
    return [_span(values) for values in connection.execute(statement("list_spans"), bindings)]


def read_waits(connection: apsw.Connection, since: int, until: int, *, limit: int) -> list[WaitingTask]:
    """The newest `limit` tasks that were not final between two times (ms), newest first."""
    bindings = {"since": since, "until": until, "limit": limit}
    rows = connection.execute(statement("list_waits"), bindings)
    return [WaitingTask._make((*values[:5], decode_depends(values[5]))) for values in rows]


def read_looks(connection: apsw.Connection, until: int) -> list[tuple[int, str]]:
    """The newest looks at devices before a time (ms), in their order: when, and the events of the turn as JSON."""
    bindings = {"until": until, "rows": LOOKED_THROUGH, "limit": MOST_LOOKS}
    rows = connection.execute(statement("list_looks"), bindings).fetchall()
    return [(int(str(now)), str(events)) for now, events in reversed(rows)]


def _span(values: Values) -> Span:
    run, state, name, program = values[ATTEMPT_FIELDS:]
    return Span(read_attempt(values[:ATTEMPT_FIELDS]), run, state, str(name or program or ""))
