"""A frozen record by what it tells: the fields that differ from their default. Pure.

Most fields of an event, an outcome or an allocation say nothing; left out, a row is a third as long, and a page of the
database holds three times as many. Who reads such JSON back gets the defaults again.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any

__all__ = ["told"]

_Taking = tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]], tuple[Any, ...]]
"""Of a kind of record: the names of its fields, what takes their values, and their defaults (`MISSING`, which equals
nothing, where there is none)."""
_known: dict[type[Any], _Taking] = {}


def told(record: Any) -> dict[str, Any]:
    """The fields of a frozen record that differ from their default, by name."""
    kind = type(record)
    taking = _known.get(kind)
    if taking is None:
        taking = _known[kind] = _taking(kind)
    names, values, defaults = taking
    fields_of = zip(names, values(record), defaults, strict=True)
    return {name: value for name, value, default in fields_of if value is not default and value != default}


def _taking(kind: type[Any]) -> _Taking:
    found = fields(kind)
    names = tuple(one.name for one in found)
    return names, _values_of(names), tuple(one.default for one in found)


def _values_of(names: tuple[str, ...]) -> Callable[[Any], tuple[Any, ...]]:
    if len(names) == 1:
        return lambda record: (getattr(record, names[0]),)
    return attrgetter(*names)
