"""Tables for people: one page of the tasks that a filter and a text choose, in an order, and how many by state.

A text is looked for in what people see of a task: its name, command, key and message; never in variables or other parts
of its payload. It reads only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import apsw

from .filters import TaskFilter, conditions_of
from .sql import statement

__all__ = ["ORDERS", "Page", "groups_of", "page_of"]

Match = tuple[int, str, int, int]
"""Id, state, priority and end of a task."""
ORDERS = {
    "newest": "tasks.id DESC",
    "oldest": "tasks.id",
    "priority": "tasks.priority DESC, tasks.id",
    "ended": "tasks.ended_at DESC, tasks.id DESC",
}
_SORTED: dict[str, Callable[[Match], tuple[int, ...]]] = {
    "priority": lambda row: (-row[2], row[0]),
    "ended": lambda row: (-row[3], -row[0]),
}
_PLAIN = r"""tasks.key LIKE :text ESCAPE '\' OR tasks.message LIKE :text ESCAPE '\'"""
_SHOWN = r"""payloads.body ->> 'name' LIKE :text ESCAPE '\' OR payloads.body ->> 'command' LIKE :text ESCAPE '\'"""


class Page(NamedTuple):
    """Ids of the tasks on one page, in order, and how many tasks are chosen, by state."""

    ids: tuple[int, ...]
    states: dict[str, int]


def page_of(
    connection: apsw.Connection,
    wanted: TaskFilter,
    *,
    text: str,
    states: Sequence[str],
    order: str,
    offset: int,
    limit: int,
) -> Page:
    """One page. `states` narrows which tasks are on it, and not what is counted."""
    conditions, bindings = conditions_of(wanted)
    if text:
        bindings["text"] = f"%{_escaped(text)}%"
        query = statement("list_text_matches").format(conditions=conditions, text=_places(text))
        found: list[tuple[int, str, int, int]] = list(connection.execute(query, bindings))
        chosen = _ordered([row for row in found if not states or row[1] in states], order)
        counted = Counter(row[1] for row in found)
        return Page(tuple(row[0] for row in chosen[offset : offset + limit]), dict(counted))
    query = statement("count_states").format(conditions=conditions)
    counts = {str(state): int(str(count)) for state, count in connection.execute(query, bindings)}
    narrowed, bindings = conditions_of(replace(wanted, states=tuple(states)))
    query = statement("list_matches").format(conditions=narrowed, order=ORDERS[order])
    rows = connection.execute(query, {**bindings, "limit": limit, "offset": offset})
    return Page(tuple(int(str(task)) for (task,) in rows), counts)


def groups_of(connection: apsw.Connection) -> dict[str, tuple[bool, dict[str, int]]]:
    """Every group that has tasks or is held: whether it is held, and its tasks by state."""
    held = {str(name) for (name,) in connection.execute(statement("select_held_groups"))}
    found: dict[str, tuple[bool, dict[str, int]]] = {name: (True, {}) for name in held}
    for name, state, count in connection.execute(statement("count_by_group")):
        found.setdefault(str(name), (False, {}))[1][str(state)] = int(str(count))
    return dict(sorted(found.items()))


def _ordered(found: list[Match], order: str) -> list[Match]:
    """Matches, which come by id, in an order."""
    if order in _SORTED:
        return sorted(found, key=_SORTED[order])
    return found if order == "oldest" else found[::-1]


def _places(text: str) -> str:
    """Where a text is looked for. Plain ASCII stands in JSON as it is, so that few payloads have to be read as JSON."""
    if text.isascii() and text.isprintable() and not set(text) & {'"', "\\"}:
        return rf"{_PLAIN} OR (payloads.body LIKE :text ESCAPE '\' AND ({_SHOWN}))"
    return f"{_PLAIN} OR {_SHOWN}"


def _escaped(text: str) -> str:
    """A text in which LIKE sees nothing but itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
