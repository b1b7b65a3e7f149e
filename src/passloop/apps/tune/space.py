"""The search space: parameters with their values, which are active, and all points where there is an end of them.

A parameter whose `when` does not hold is not part of a point. It knows no engine and draws nothing by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Literal

from passloop.apps.expressions import Condition
from passloop.apps.text import shown

from .records import Params, Value

__all__ = ["Kind", "Parameter", "Space", "Steps"]

Kind = Literal["int", "float", "choice", "bool", "preset"]
NOTHING: Mapping[str, Params] = MappingProxyType({})


class Steps(Sequence[float]):
    """The floats from `low` in steps, computed exactly in decimal."""

    def __init__(self, low: float, high: float, step: float) -> None:
        self._low, self._step = Decimal(repr(low)), Decimal(repr(step))
        self._count = int((Decimal(repr(high)) - self._low) // self._step) + 1

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> float:  # type: ignore[override]
        if not 0 <= place < self._count:
            raise IndexError(place)
        return float(self._low + place * self._step)

    def __contains__(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        place = (Decimal(repr(float(value))) - self._low) / self._step
        return place == int(place) and 0 <= place < self._count


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter. `values` are all it can be, in order; None for a float without steps, which is anywhere from `low`
    to `high`. `default` is what it is where `when` does not hold; None leaves it out. `sets` says what each value of a
    preset stands for. `flag` and `off` are words of its own.
    """

    name: str
    kind: Kind
    values: Sequence[Value] | None
    low: float = 0
    high: float = 0
    step: float | None = None
    log: bool = False
    when: Condition | None = None
    default: Value | None = None
    flag: str | None = None
    off: str | None = None
    sets: Mapping[str, Params] = field(default_factory=lambda: NOTHING)

    def holds(self, value: object) -> bool:
        """Whether it can be `value`, by type, too: 1 is neither true nor 1.0."""
        if self.values is None:
            return _is_number(value) and self.low <= value <= self.high  # type: ignore[operator]
        if self.kind == "float":
            return value in self.values
        if self.kind == "int":
            return type(value) is int and value in self.values
        return any(type(value) is type(each) and value == each for each in self.values)

    def told(self) -> str:
        """What it can be, for people."""
        if self.kind in ("int", "float"):
            step = f" in steps of {self.step:g}" if self.step not in (None, 1) else ""
            return f"{self.low:g} to {self.high:g}{step}"
        return ", ".join(str(each) for each in (self.values or ())[:20])


@dataclass(frozen=True, slots=True)
class Space:
    """Parameters in the order of the spec, and `order`: each after those that its `when` names."""

    parameters: tuple[Parameter, ...]
    order: tuple[Parameter, ...]
    fixed: Params

    @property
    def names(self) -> tuple[str, ...]:
        """The names in the order of the spec."""
        return tuple(each.name for each in self.parameters)

    @property
    def points(self) -> int | None:
        """The most points there can be, before `when` and constraints; None if there is no end of them."""
        counts = [None if each.values is None else len(each.values) for each in self.parameters]
        known = [count for count in counts if count is not None]
        return math.prod(known) if len(known) == len(counts) else None

    def __getitem__(self, name: str) -> Parameter:
        return next(each for each in self.parameters if each.name == name)

    def suggest(self, draw: Callable[[Parameter], Value]) -> Params:
        """The parameters of one point, each drawn if it is active. Raises `BadValue` if a `when` cannot be answered."""
        found: Params = {}
        values: Params = dict(self.fixed)
        for each in self.order:
            if is_active(each, values):
                found[each.name] = draw(each)
            settle(each, found, values)
        return found

    def values(self, params: Mapping[str, Value]) -> Params:
        """All values of a point: fixed ones, its own, defaults of what is not active, and what presets stand for. An
        active parameter that `params` leaves out takes its default, or is left out.
        """
        values: Params = dict(self.fixed)
        for each in self.order:
            settle(each, params if is_active(each, values) else {}, values)
        return values

    def active(self, params: Mapping[str, Value]) -> Params:
        """Those of `params` that are active, in the order of the spec."""
        values: Params = dict(self.fixed)
        found = set()
        for each in self.order:
            if is_active(each, values) and each.name in params:
                found.add(each.name)
            settle(each, params if is_active(each, values) else {}, values)
        return {name: params[name] for name in self.names if name in found}

    def grid(self) -> Iterator[Params]:
        """Every point once, the last parameter fastest. Only for a space with finitely many points."""
        return self._grid(0, {}, dict(self.fixed))

    def wrong(self, params: Mapping[str, Value]) -> str | None:
        """Why these are no parameters of the space; None if they are."""
        for name, value in params.items():
            if name not in self.names:
                return f"{shown(name)} is no parameter of the space"
            if not self[name].holds(value):
                return f"{shown(name)} cannot be {shown(value)}: it is {self[name].told()}"
        return None

    def _grid(self, depth: int, found: Params, values: Params) -> Iterator[Params]:
        if depth == len(self.order):
            yield {name: found[name] for name in self.names if name in found}
            return
        each = self.order[depth]
        choices: Sequence[Value | None] = (each.values or ()) if is_active(each, values) else (None,)
        for choice in choices:
            chosen = found if choice is None else {**found, each.name: choice}
            within = dict(values)
            settle(each, chosen, within)
            yield from self._grid(depth + 1, chosen, within)


def is_active(parameter: Parameter, values: Mapping[str, Value]) -> bool:
    """Whether its `when` holds; one that names what is left out does not. Raises `BadValue` if there is no answer."""
    when = parameter.when
    return when is None or (when.names <= values.keys() and when.holds(values))


def settle(parameter: Parameter, params: Mapping[str, Value], values: Params) -> None:
    """Put a parameter, and what its preset stands for, into `values`."""
    value = params.get(parameter.name, parameter.default)
    if value is not None:
        values[parameter.name] = value
        values.update(parameter.sets.get(str(value), {}) if parameter.kind == "preset" else {})


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
