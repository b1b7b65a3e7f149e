"""Which tasks somebody means, as data, and the condition it becomes. Values are always bound, never put into
text.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .records import encode_json

__all__ = ["TaskFilter", "conditions_of", "is_inside", "ranges_of"]


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Tasks in one of the id ranges (both ends included) or in one of the runs, that meet every other
    condition.

    Each tuple that is empty asks nothing; within one, any value is enough. `classes` are outcome classes or
    the task classes that durations are filed under; `keys` are globs; a group means those inside it too. `before`
    leaves out this id and newer ones.
    """

    ids: tuple[tuple[int, int], ...] = ()
    runs: tuple[int, ...] = ()
    states: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    before: int | None = None


def is_inside(group: str, outer: str) -> bool:
    """Whether a group is `outer` or one inside it; the condition on tasks says the same in SQL."""
    return group == outer or group.startswith(f"{outer}/")


def ranges_of(ids: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Ids as the fewest ranges that hold exactly these, both ends included."""
    ranges: list[tuple[int, int]] = []
    for number in sorted(set(ids)):
        if ranges and number == ranges[-1][1] + 1:
            ranges[-1] = (ranges[-1][0], number)
        else:
            ranges.append((number, number))
    return tuple(ranges)


_IDS = """tasks.id IN (
    SELECT chosen.id FROM json_each(:ids) AS span CROSS JOIN tasks AS chosen
    WHERE chosen.id BETWEEN span.value ->> 0 AND span.value ->> 1)"""
_RUNS = "tasks.run IN (SELECT value FROM json_each(:runs))"
_OTHERS = {
    "states": "tasks.state IN (SELECT value FROM json_each(:states))",
    "groups": """EXISTS (SELECT 1 FROM json_each(:groups) AS wanted WHERE tasks.group_name = wanted.value
        OR substr(tasks.group_name, 1, length(wanted.value) + 1) = wanted.value || '/')""",
    "keys": "EXISTS (SELECT 1 FROM json_each(:keys) AS wanted WHERE tasks.key GLOB wanted.value)",
    "classes": """(tasks.outcome IN (SELECT value FROM json_each(:classes)) OR tasks.spec IN (
        SELECT id FROM specs WHERE body ->> 'task_class' IN (SELECT value FROM json_each(:classes))))""",
}


def conditions_of(wanted: TaskFilter) -> tuple[str, dict[str, object]]:
    """The condition on `tasks` and its bindings."""
    texts = _places(wanted)
    texts += [text for name, text in _OTHERS.items() if getattr(wanted, name)]
    if wanted.before is not None:
        texts.append("tasks.id < :before")
    names = ("ids", "runs", *_OTHERS)
    bindings: dict[str, object] = {name: encode_json(getattr(wanted, name)) for name in names}
    bindings["before"] = wanted.before
    return " AND ".join(texts) or "TRUE", bindings


def _places(wanted: TaskFilter) -> list[str]:
    if wanted.ids and wanted.runs:
        return [f"({_IDS} OR {_RUNS})"]
    if wanted.ids:
        return [_IDS]
    return [_RUNS] if wanted.runs else []
