"""Tables for people: one page of the tasks that a filter and a text choose, in an order, and how many by state.

A text is looked for in what people see of a task: its name, its command as one line, its key and message; never in
variables or other parts of its payload. It reads only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import apsw

from .filters import TaskFilter, conditions_of
from .sql import statement

__all__ = ["ORDERS", "Page", "groups_of", "page_of"]

ORDERS = {
    "newest": "tasks.id DESC",
    "oldest": "tasks.id",
    "priority": "tasks.priority DESC, tasks.id",
    "ended": "tasks.ended_at DESC, tasks.id DESC",
}
_PLAIN = r"""tasks.key LIKE :text ESCAPE '\' OR tasks.message LIKE :text ESCAPE '\'"""
_NAME = r"""payloads.body ->> 'name' LIKE :text ESCAPE '\'"""
_IN_A_WORD = r"""payloads.body ->> 'command' LIKE :text ESCAPE '\'"""
_COMMAND = r"""(SELECT group_concat(word.value, ' ') FROM json_each(payloads.body, '$.command') AS word)
    LIKE :text ESCAPE '\'"""
_SOMEWHERE = r"""payloads.body LIKE :longest ESCAPE '\'"""


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
    counts, first, last = _counted(connection, wanted, text)
    if not any(state in counts for state in states or counts):
        return Page((), counts)
    conditions, bindings = conditions_of(replace(wanted, states=tuple(states)))
    bindings |= {"limit": limit, "offset": offset, "first": first, "last": last, **_sought(text)}
    query = statement("list_text_matches" if text else "list_matches")
    rows = connection.execute(query.format(conditions=conditions, text=_places(text), order=ORDERS[order]), bindings)
    return Page(tuple(int(str(task)) for (task,) in rows), counts)


def _counted(connection: apsw.Connection, wanted: TaskFilter, text: str) -> tuple[dict[str, int], int, int]:
    """How many tasks are chosen, by state, and with a text the first and the last of them: few are soon found again."""
    conditions, bindings = conditions_of(wanted)
    if not text:
        query = statement("count_states").format(conditions=conditions)
        return {str(state): int(str(count)) for state, count in connection.execute(query, bindings)}, 0, 0
    query = statement("count_text_matches").format(conditions=conditions, text=_places(text))
    rows: list[tuple[str, int, int, int]] = list(connection.execute(query, {**bindings, **_sought(text)}))
    bounds = [bound for _, _, *both in rows for bound in both]
    return {state: count for state, count, *_ in rows}, min(bounds, default=0), max(bounds, default=0)


def groups_of(connection: apsw.Connection) -> dict[str, tuple[bool, dict[str, int]]]:
    """Every group that has tasks or is held: whether it is held, and its tasks by state."""
    held = {str(name) for (name,) in connection.execute(statement("select_held_groups"))}
    found: dict[str, tuple[bool, dict[str, int]]] = {name: (True, {}) for name in held}
    for name, state, count in connection.execute(statement("count_by_group")):
        found.setdefault(str(name), (False, {}))[1][str(state)] = int(str(count))
    return dict(sorted(found.items()))


def _places(text: str) -> str:
    """Where a text is looked for. Plain ASCII stands in JSON as it is, so few payloads have to be read as JSON; and
    what can only be a part of one word of a command is looked for in the words as they stand there.
    """
    if not (text.isascii() and text.isprintable()) or set(text) & {'"', "\\"}:
        return f"{_PLAIN} OR {_NAME} OR {_COMMAND}"
    command = _COMMAND if set(text) & set(" [],") else _IN_A_WORD
    return f"{_PLAIN} OR ({_SOMEWHERE} AND ({_NAME} OR {command}))"


def _sought(text: str) -> dict[str, object]:
    """The bindings of a text: itself, and its longest word, which stands in a payload wherever the text does."""
    longest = max(text.split(), key=len, default="")
    return {"text": f"%{_escaped(text)}%", "longest": f"%{_escaped(longest)}%"}


def _escaped(text: str) -> str:
    """A text in which LIKE sees nothing but itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
