"""Sums over many tasks and attempts, for pages that show a run or an endpoint as a whole. SQLite counts them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import apsw

from .records import Values, encode_json
from .sql import statement

__all__ = [
    "Call",
    "CallCount",
    "NodeCount",
    "NodeSpent",
    "calls_like",
    "calls_of",
    "nodes_of",
    "spent_of",
    "spent_under",
]


class NodeCount(NamedTuple):
    """The tasks of one node of a source: by state, and how many succeeded lately."""

    counts: dict[str, int]
    lately: int


class NodeSpent(NamedTuple):
    """Tokens (in, out) that the calls of one node of a run's source spent: all of them, and those that ended lately."""

    run: int
    node: int
    spent: tuple[int, int]
    lately: tuple[int, int]


class CallCount(NamedTuple):
    """How many calls were admitted in a step of time (0: the first asked about) and ended so (None: under way)."""

    place: int
    outcome: str | None
    calls: int


class Call(NamedTuple):
    """One call of the task of a key, in engine ms; `outcome` and `ended_at` are None while it is under way, `status` is
    what an endpoint that refused it said.
    """

    key: str
    started_at: int
    ended_at: int | None
    outcome: str | None
    status: int | None


def calls_like(connection: apsw.Connection, keys: str) -> list[Call]:
    """The calls of all tasks whose key is like the glob, in the order in which they were admitted."""
    return [Call._make(row) for row in connection.execute(statement("list_calls"), (keys,))]


def nodes_of(connection: apsw.Connection, run: int, *, since: int) -> dict[int, NodeCount]:
    """The nodes of a run's source; lately means after the time `since` in ms."""
    rows: list[Values] = connection.execute(statement("count_node_states"), {"run": run, "since": since}).fetchall()
    found: dict[int, NodeCount] = {}
    for node, state, count, lately in rows:
        known = found.get(node, NodeCount({}, 0))
        found[node] = known._replace(counts={**known.counts, state: count}, lately=known.lately + int(lately or 0))
    return found


def calls_of(connection: apsw.Connection, pools: Iterable[str], *, since: int, step: int) -> list[CallCount]:
    """Calls that drew on one of these pools since a time, by steps of so much time; both in ms."""
    bindings = {"since": since, "step": step, "pools": encode_json(list(pools))}
    return [CallCount._make(row) for row in connection.execute(statement("count_calls"), bindings)]


def spent_of(connection: apsw.Connection, kind: str, *, since: int) -> list[NodeSpent]:
    """What calls of all sources of a kind spent; lately means after the time `since` in ms."""
    rows = connection.execute(statement("sum_spent_tokens"), {"kind": kind, "since": since})
    told = ((int(str(run)), int(str(node)), [_whole(each) for each in sums]) for run, node, *sums in rows)
    return [NodeSpent(run, node, (sums[0], sums[1]), (sums[2], sums[3])) for run, node, sums in told]


def spent_under(connection: apsw.Connection, prefix: str) -> dict[str, tuple[int, int]]:
    """Tokens (in, out) that calls of tasks spent whose key begins so, by the second word of the rest of the key."""
    bindings = {"skipped": len(prefix), "keys": f"{prefix}*"}
    rows = connection.execute(statement("sum_key_tokens"), bindings)
    return {str(word): (_whole(read), _whole(written)) for word, read, written in rows}


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) else 0
