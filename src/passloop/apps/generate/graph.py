"""The DAG of columns: who needs whom, in which order (Kahn), and what goes round in circles. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from passloop.apps.errors import BadValue

from .spec import Column
from .templates import names_in

__all__ = ["TASK_KINDS", "Graph", "graph_of", "outputs_of", "said_templates"]

TASK_KINDS = frozenset({"llm_text", "llm_structured", "llm_judge", "python"})
GIVEN_KINDS = frozenset({"sampler", "seed"})


@dataclass(frozen=True, slots=True)
class Graph:
    """The columns in an order in which each comes after what it needs; `circle` are those that have none.

    `needs` are the columns that each needs at once, `provider` the column that makes an output. `before` are the
    task columns that a column waits for (through expressions), `given` the samplers and seeds that its value is of.
    """

    order: tuple[Column, ...]
    circle: tuple[str, ...]
    needs: Mapping[str, frozenset[str]]
    provider: Mapping[str, str]
    before: Mapping[str, tuple[str, ...]]
    given: Mapping[str, frozenset[str]]


def outputs_of(column: Column) -> tuple[str, ...]:
    """The names under which a column's values stand in a row."""
    return tuple(column.outputs) if column.outputs else (column.name,)


def said_templates(column: Column) -> dict[tuple[str, ...], str]:
    """The templates of a column, by their place in it."""
    found = {("prompt",): column.prompt, ("system",): column.system, ("expr",): column.expr}
    if column.skip is not None:
        found["skip", "when"] = column.skip.when  # type: ignore[index]
    return {path: text for path, text in found.items() if text is not None}


def graph_of(columns: Sequence[Column]) -> Graph:
    """The graph of the columns. Names that no column has are left out: `checks.py` tells them."""
    provider = {name: column.name for column in columns for name in outputs_of(column)}
    provider |= {column.name: column.name for column in columns}
    needs = {column.name: _needs(column, provider) for column in columns}
    order = _kahn(columns, needs)
    circle = tuple(column.name for column in columns if column not in order)
    before: dict[str, tuple[str, ...]] = {}
    given: dict[str, frozenset[str]] = {}
    kinds = {column.name: column.kind for column in columns}
    places = {column.name: place for place, column in enumerate(order)}
    for column in order:
        waits: set[str] = set()
        stands: set[str] = set()
        for name in needs[column.name]:
            waits |= {name} if kinds[name] in TASK_KINDS else set(before[name])
            stands |= {name} if kinds[name] in GIVEN_KINDS else set()
            stands |= given[name]
        before[column.name] = tuple(sorted(waits, key=places.__getitem__))
        given[column.name] = frozenset(stands)
    return Graph(tuple(order), circle, needs, provider, before, given)


def _needs(column: Column, provider: Mapping[str, str]) -> frozenset[str]:
    names: set[str] = set(column.needs or ())
    if column.conditional is not None:
        names.add(column.conditional.on)
    for text in said_templates(column).values():
        names.update(_names(text))
    return frozenset(provider[name] for name in names if name in provider)


def _names(text: str) -> Iterable[str]:
    try:
        return names_in(text)
    except BadValue:
        return ()


def _kahn(columns: Sequence[Column], needs: Mapping[str, frozenset[str]]) -> list[Column]:
    """Columns in the order of the spec, each after what it needs; those in a circle, and after one, are left out."""
    waiting = {column.name: len(needs[column.name]) for column in columns}
    dependents: dict[str, list[Column]] = {column.name: [] for column in columns}
    for column in columns:
        for name in needs[column.name]:
            dependents[name].append(column)
    found = [column for column in columns if not waiting[column.name]]
    for column in found:  # grows while it is walked
        for each in dependents[column.name]:
            waiting[each.name] -= 1
            if not waiting[each.name]:
                found.append(each)
    return found
