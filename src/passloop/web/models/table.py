"""The table of tasks: one page of what a filter chooses, counted by state; and the groups. Reads only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from passloop.apps.queue import views
from passloop.apps.queue.find import filter_of
from passloop.apps.queue.selectors import parse_selectors
from passloop.store.filters import TaskFilter, ranges_of
from passloop.store.reader import Reader, TaskView

__all__ = ["TableAsk", "groups", "lines_of", "table"]


@dataclass(frozen=True, slots=True)
class TableAsk:
    """Which tasks, in which order, and which page of them. `select` has the filter in the words of selectors."""

    select: Sequence[str] = ()
    text: str = ""
    sort: str = "newest"
    offset: int = 0
    limit: int = 100


def table(reader: Reader, ask: TableAsk) -> views.Json:
    """One page. Raises `SpecError`, `NotFound` as selectors do."""
    seq = reader.last_seq()
    wanted = filter_of(parse_selectors(ask.select), reader)
    page = reader.page(
        replace(wanted, states=()),
        text=ask.text,
        states=wanted.states,
        order=ask.sort,
        offset=ask.offset,
        limit=ask.limit,
    )
    total = sum(count for state, count in page.states.items() if not wanted.states or state in wanted.states)
    lines = [views.line_view(task) for task in lines_of(reader, page.ids)]
    return views.document(seq=seq, total=total, offset=ask.offset, lines=lines, states=page.states)


def lines_of(reader: Reader, ids: Sequence[int]) -> list[TaskView]:
    """These tasks in this order; one that was removed meanwhile is left out."""
    if not ids:
        return []
    found: dict[int, TaskView] = {task.row.id: task for task in reader.tasks(TaskFilter(ids=ranges_of(ids)))}
    return [found[task] for task in ids if task in found]


def groups(reader: Reader) -> views.Json:
    """Every group with its tasks by state."""
    found = [{"name": name, "held": held, "counts": counts} for name, (held, counts) in reader.groups().items()]
    return views.document(groups=found)
