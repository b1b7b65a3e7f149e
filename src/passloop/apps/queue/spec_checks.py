"""Checks of single values of a sweep spec, in the words of the person who wrote it. Each raises `BadValue`.

They run before pydantic looks at the types, so that a mistake is one sentence with its fix and not a list of
what a union could not be.
"""

from __future__ import annotations

import math

from passloop.apps.errors import BadValue
from passloop.apps.spec_values import sort_of
from passloop.apps.templates import INDEX, LINE, PYTHON
from passloop.apps.text import LONGEST_NAME, UNSAFE, shown
from passloop.apps.units import duration_ms

from .requests import need_amount

__all__ = [
    "MOST_SEEDS",
    "REPLICA",
    "SEED",
    "check_axes",
    "check_excluded",
    "check_limit",
    "check_linked",
    "check_needs",
    "check_pattern",
    "check_seeds",
]

SEED = "seed"
REPLICA = "replica"
RESERVED = frozenset({INDEX, LINE, PYTHON})
MOST_SEEDS = 100_000
LONGEST_AXIS = 64
LONGEST_VALUE = 10_000

Path = tuple[str | int, ...]


def check_limit(value: object) -> int:
    """A duration that is not 0, in ms."""
    millis = duration_ms(value)
    if millis == 0:
        raise BadValue("a limit of 0 would end the task at once", "write a longer duration, or leave it out")
    return millis


def check_axes(value: object) -> object:
    """A mapping of axis names to lists of distinct values."""
    if not isinstance(value, dict):
        raise BadValue(f"the axes are {sort_of(value)}", "write a mapping: matrix: {depth: [2, 4, 8]}")
    for name, values in value.items():
        _check_axis(name)
        _check_values(name, values, repeated=False, path=(name,))
    return value


def check_linked(value: object) -> object:
    """One mapping of axes that move together, or a list of such mappings; equally long lists in each."""
    groups = value if isinstance(value, list) else [value]
    for place, group in enumerate(groups):
        path = (place,) if isinstance(value, list) else ()
        if not isinstance(group, dict):
            fix = "write a mapping: zip: {model: [a, b], size: [1, 2]}"
            raise BadValue(f"zip is {sort_of(group)}", fix, path=path)
        for name, values in group.items():
            _check_axis(name)
            _check_values(name, values, repeated=True, path=(*path, name))
        _check_rows(group, path)
    return groups


def check_excluded(value: object) -> object:
    """Mappings of some axes to a value, or to a list of values of which any will do."""
    rows = value if isinstance(value, list) else [value]
    for place, row in enumerate(rows):
        path = (place,) if isinstance(value, list) else ()
        if not isinstance(row, dict) or not row:
            fix = "write mappings: exclude: [{depth: 8, lr: 0.1}]"
            raise BadValue(f"exclude has {sort_of(row)}", fix, path=path)
        for name, wanted in row.items():
            for each in wanted if isinstance(wanted, list) else [wanted]:
                _check_scalar(name, each, (*path, name))
    return rows


def check_seeds(value: object) -> object:
    """How many seeds, counted from 0, or a list of them."""
    if isinstance(value, list):
        _check_values(SEED, value, repeated=False, path=())
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        raise BadValue(f"seeds is {sort_of(value)}", "write how many, or a list: seeds: [1, 2, 3]")
    if not 1 <= value <= MOST_SEEDS:
        raise BadValue(f"{shown(value)} seeds are not possible", f"use 1 to {MOST_SEEDS:,}")
    return list(range(value))


def check_needs(value: object) -> object:
    """Amounts of declared pools by name."""
    if not isinstance(value, dict):
        raise BadValue(f"need is {sort_of(value)}", "write a mapping: need: {licence: 1}")
    return {name: need_amount(name, amount) for name, amount in value.items()}


def check_pattern(value: str) -> str:
    """A template of names or keys."""
    if not value.strip() or len(value) > LONGEST_NAME or UNSAFE.search(value):
        raise BadValue(f"{shown(value)} is not a name", "use 1 to 200 visible characters")
    return value


def _check_axis(name: str) -> None:
    if not (name.isascii() and name.isidentifier()) or len(name) > LONGEST_AXIS:
        fix = "use letters, digits and _, first a letter"
        raise BadValue(f"the axis {shown(name)} is not a name", fix, path=(name,))
    if name in RESERVED:
        fix = "give it another name"
        raise BadValue(f"the axis {shown(name)} is the name of a template", fix, path=(name,))


def _check_values(name: str, values: object, *, repeated: bool, path: Path) -> None:
    if not isinstance(values, list):
        fix = f"write a list: {name}: [1, 2]"
        raise BadValue(f"the axis {shown(name)} is not a list but {sort_of(values)}", fix, path=path)
    if not values:
        raise BadValue(f"the axis {shown(name)} has no values", "give one, or remove the axis", path=path)
    seen: set[str] = set()
    for place, value in enumerate(values):
        _check_scalar(name, value, (*path, place))
        if repr(value) in seen and not repeated:
            what = f"the axis {shown(name)} has {shown(value)} twice"
            raise BadValue(what, "name it once; to repeat, use replicas", path=(*path, place))
        seen.add(repr(value))


def _check_rows(group: dict[str, list[object]], path: Path) -> None:
    if len({len(values) for values in group.values()}) > 1:
        said = ", ".join(f"{name} has {len(values)}" for name, values in group.items())
        what = f"zipped axes differ in length: {said[:200]}"
        raise BadValue(what, "give them equally many values", path=path)
    rows = [repr(row) for row in zip(*group.values(), strict=True)]
    if len(set(rows)) != len(rows):
        raise BadValue("zip has the same combination twice", "name it once; to repeat, use replicas", path=path)


def _check_scalar(name: str, value: object, path: Path) -> None:
    what, fix = "", "quote it as text"
    if isinstance(value, list | dict):
        what, fix = f"is {sort_of(value)}", "use text, numbers, true, false or null"
    elif isinstance(value, float) and not math.isfinite(value):
        what = "is not finite"
    elif isinstance(value, int) and abs(value) >= 2**63:
        what = "is too large"
    elif isinstance(value, str) and (len(value) > LONGEST_VALUE or "\0" in value):
        what, fix = "is too long or has a NUL", "put it into a file"
    if what:
        raise BadValue(f"a value of the axis {shown(name)} {what}", fix, path=path)
