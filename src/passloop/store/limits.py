"""How many each limit let be under way at once, and from when on: its adaptive limit and its closures, as they came.

A row is kept for each change of a limit's gate or of how many it lets, none for a call, in the transaction of its turn.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import apsw
import msgspec

from passloop.kernel.changes import Change, PoolChanged
from passloop.kernel.events import PoolKind

from .records import encode_json
from .sql import statement

__all__ = ["LimitStep", "add_limit_steps", "limit_steps_of"]


class _Closure(msgspec.Struct):
    gate: str
    limit: int


class _Limit(msgspec.Struct):
    """What a step is made of in the state of a limit."""

    capacity: int
    closure: _Closure


_limit = msgspec.json.Decoder(_Limit)


class LimitStep(NamedTuple):
    """From `at` (engine ms) on a pool was `gate` (open, cooling, half_open, dead); open it lets `most` at once."""

    pool: str
    at: int
    gate: str
    most: int


def add_limit_steps(connection: apsw.Connection, changes: Iterable[Change], *, now: int) -> None:
    """Keep what became different of limits in a turn at `now`, inside the caller's transaction."""
    for change in changes:
        if type(change) is PoolChanged and change.kind == PoolKind.LIMIT:
            told = _limit.decode(change.state)
            step = told.closure.gate, min(told.closure.limit, told.capacity)
            if step != connection.execute(statement("select_limit_step"), (change.name,)).fetchone():
                connection.execute(statement("upsert_limit_step"), (change.name, now, *step))


def limit_steps_of(connection: apsw.Connection, pools: Iterable[str], *, since: int) -> list[LimitStep]:
    """The steps of these pools after a time in ms, and of each the one that held then, in the order of time."""
    bindings = {"pools": encode_json(list(pools)), "since": since}
    return [LimitStep._make(row) for row in connection.execute(statement("list_limit_steps"), bindings)]
