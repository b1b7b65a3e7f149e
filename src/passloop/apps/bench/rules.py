"""Rows of `include`, `exclude` and `overrides`: which cells a row names. A name is meant exactly, or by `*` and `?`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import translate

from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.text import shown

__all__ = ["Rule", "check_rows"]

Names = Mapping[str, str]


class Rule:
    """One row, ready to be asked of many cells."""

    __slots__ = ("_wanted",)

    def __init__(self, row: Mapping[str, Sequence[str]]) -> None:
        self._wanted = tuple((axis, _Wanted(names)) for axis, names in row.items())

    def matches(self, names: Names) -> bool:
        """Whether the row names the cell with these names by axis; one that is not given matches."""
        return all(axis not in names or wanted.holds(names[axis]) for axis, wanted in self._wanted)


class _Wanted:
    """Names of one axis, patterns among them; answers are kept, because an axis has few names."""

    __slots__ = ("_known", "_names", "_patterns")

    def __init__(self, names: Iterable[str]) -> None:
        self._names = frozenset(names)
        self._patterns = [re.compile(translate(name)) for name in self._names if "*" in name or "?" in name]
        self._known: dict[str, bool] = {}

    def holds(self, name: str) -> bool:
        known = self._known.get(name)
        if known is None:
            known = name in self._names or any(pattern.match(name) for pattern in self._patterns)
            self._known[name] = known
        return known


def check_rows(row: Mapping[str, Sequence[str]], axes: Mapping[str, Iterable[str]]) -> Iterable[tuple[str, BadValue]]:
    """What in a row names nothing on its axis: the axis and what to say. `axes` has the names there are."""
    for axis, wanted in row.items():
        there = list(axes.get(axis, ()))
        for name in wanted:
            if not any(_Wanted([name]).holds(each) for each in there):
                what = f"{shown(name)} is no {axis.replace('_', ' ')} of this matrix"
                yield axis, BadValue(what, did_you_mean(name, there) if there else f"there is no {axis}")
