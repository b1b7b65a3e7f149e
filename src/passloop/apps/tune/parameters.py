"""The spec's `space`, `fixed` and `presets` -> parameters and the space of them, with every mistake at its place.

Presets are expanded here to concrete values; a value that the engine's family refuses is a mistake of the spec.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.expressions import Condition, Words
from passloop.apps.text import shown

from .argv import FLAG
from .families import Family, common_presets
from .records import Params, Value
from .space import Parameter, Space, Steps
from .spec import ParameterEntry, TuneSpec

__all__ = ["CONDITION", "Say", "expanded", "space_of"]

Path = tuple[str | int, ...]
Say = Callable[[Path, str, str], None]
"""Notes a mistake: where, what, how to fix it."""

CONDITION = Words("condition", "parameter", "make it shorter", 'write for example "batch >= 128"')
MOST_STEPS = 10_000
MOST_NESTED = 20


def space_of(spec: TuneSpec, family: Family, say: Say) -> Space:
    """The space of a spec; what is wrong is said, and left out."""
    presets = {**common_presets(), **spec.presets}
    drafts = [_Draft(name, entry, _expansions(name, entry, presets, say)) for name, entry in spec.space.items()]
    names = {*spec.fixed, *spec.space, *(name for each in drafts for name in each.settings)}
    _check_double(spec, drafts, say)
    _check_values(spec, drafts, family, say)
    parameters = [made for each in drafts if (made := each.parameter(names, say)) is not None]
    return Space(tuple(parameters), tuple(_ordered(parameters, say)), dict(spec.fixed))


def expanded(name: str, presets: Mapping[str, Mapping[str, Any]], within: tuple[str, ...] = ()) -> Params:
    """A preset's settings, with those of the presets that it uses; its own come last. Raises `BadValue`."""
    if name in within or len(within) > MOST_NESTED:
        raise BadValue(f"the preset {shown(name)} uses itself", "break the circle")
    preset = presets.get(name)
    if preset is None:
        raise BadValue(f"there is no preset {shown(name)}", did_you_mean(name, presets))
    found: Params = {}
    for used in preset.get("use", ()):
        found.update(expanded(used, presets, (*within, name)))
    found.update({key: value for key, value in preset.items() if key != "use"})
    return found


class _Draft:
    """One parameter as it is written, and what its presets stand for."""

    def __init__(self, name: str, entry: ParameterEntry, sets: Mapping[str, Params]) -> None:
        self.name, self.entry, self.sets = name, entry, sets

    @property
    def settings(self) -> frozenset[str]:
        """The names that its presets set."""
        return frozenset(name for each in self.sets.values() for name in each)

    def parameter(self, names: Iterable[str], say: Say) -> Parameter | None:
        """The parameter; None if it cannot be made."""
        path: Path = ("space", self.name)
        try:
            when = None if self.entry.when is None else Condition(self.entry.when, names, CONDITION)
        except BadValue as bad:
            say((*path, "when"), bad.what, bad.fix)
            return None
        try:
            _check_words(self.entry)
            return _made(self.name, self.entry, when, self.sets)
        except BadValue as bad:
            say((*path, *bad.path), bad.what, bad.fix)
            return None


def _made(name: str, entry: ParameterEntry, when: Condition | None, sets: Mapping[str, Params]) -> Parameter:
    own = {"when": when, "default": entry.default, "flag": entry.flag, "off": entry.off, "sets": sets}
    if entry.type in ("int", "float"):
        low, high, step = _range(entry)
        values = _numbers(entry, low, high, step)
        top = high if values is None else values[len(values) - 1]
        return Parameter(name, entry.type, values, low, float(top), step, entry.log, **own)
    for key in ("low", "high", "step", "log"):
        if getattr(entry, key) not in (None, False):
            raise BadValue(f"a {entry.type} has no {key}", "remove it, or make it an int or a float", path=(key,))
    return Parameter(name, entry.type, _named(entry), **own)


def _named(entry: ParameterEntry) -> Sequence[Value]:
    if entry.type == "bool":
        if entry.values is not None:
            raise BadValue("a bool has no values", "remove them: it is true or false", path=("values",))
        return (False, True)
    if entry.values is None:
        raise BadValue(f"a {entry.type} needs values", "write for example values: [1, 2, 4]")
    return tuple(entry.values)


def _range(entry: ParameterEntry) -> tuple[float, float, float | None]:
    """Low, high and step of numbers. Raises `BadValue`."""
    if entry.values is not None:
        raise BadValue(f"an {entry.type} has no values", "make it a choice, or write low and high", path=("values",))
    low, high, step = entry.low, entry.high, entry.step
    if low is None or high is None:
        raise BadValue(f"an {entry.type} needs low and high", "write for example low: 1, high: 8")
    for key, each in (("low", low), ("high", high), ("step", step)):
        if entry.type == "int" and isinstance(each, float):
            raise BadValue(f"{key} of an int is {shown(each)}", "write a whole number, or make it a float", path=(key,))
        if each is not None and not -(10**15) <= each <= 10**15:
            raise BadValue(f"{key} is too large", "write a smaller number", path=(key,))
    if low > high:
        raise BadValue(f"low {shown(low)} is above high {shown(high)}", "swap them", path=("low",))
    if step is not None and step <= 0:
        raise BadValue(f"the step {shown(step)} leads nowhere", "write a step above 0, or leave it out", path=("step",))
    if step is not None and entry.type == "float" and (high - low) / step > MOST_STEPS:
        what = f"from {shown(low)} to {shown(high)} there are more than {MOST_STEPS:,} steps of {shown(step)}"
        raise BadValue(
            what, "write a larger step, or leave it out: then every number between them counts", path=("step",)
        )
    if entry.log and (step is not None or low <= 0):
        raise BadValue("log needs a low above 0, and no step", "remove log, or the step", path=("log",))
    return low, high, step


def _numbers(entry: ParameterEntry, low: float, high: float, step: float | None) -> Sequence[Value] | None:
    if entry.type == "int":
        return range(int(low), int(high) + 1, int(step or 1))
    if low == high:
        return (float(low),)
    return None if step is None else Steps(float(low), float(high), float(step))


def _check_words(entry: ParameterEntry) -> None:
    for key in ("flag", "off"):
        word = getattr(entry, key)
        if word is not None and not FLAG.fullmatch(word):
            raise BadValue(f"{shown(word)} is no flag", "write it like --max-num-seqs", path=(key,))
    if entry.off is not None and entry.type != "bool":
        raise BadValue(f"a {entry.type} is never off", "remove off, or make it a bool", path=("off",))
    if entry.type == "preset" and entry.flag is not None:
        raise BadValue("a preset has no flag of its own", "remove it", path=("flag",))
    default = entry.default
    if default is None:
        return
    if not isinstance(default, str | int | float | bool) or (isinstance(default, float) and not math.isfinite(default)):
        raise BadValue("the default is no text, number, true or false", "write one value", path=("default",))
    if entry.when is None:
        fix = "add `when`, or remove it: trial 0 takes its value from search.baseline"
        raise BadValue("a default counts only where `when` does not hold", fix, path=("default",))


def _expansions(name: str, entry: ParameterEntry, presets: Mapping[str, Any], say: Say) -> Mapping[str, Params]:
    if entry.type != "preset":
        return {}
    found: dict[str, Params] = {}
    wanted: list[tuple[Path, Any]] = [(("values", place), each) for place, each in enumerate(entry.values or ())]
    if entry.default is not None:
        wanted.append((("default",), entry.default))
    for path, each in wanted:
        try:
            found[str(each)] = expanded(str(each), presets)
        except BadValue as bad:
            say(("space", name, *path), bad.what, bad.fix)
    return found


def _check_double(spec: TuneSpec, drafts: Sequence[_Draft], say: Say) -> None:
    """Nothing may be set by two: one of them would change nothing."""
    by: dict[str, str] = {name: f"`fixed` {shown(name)}" for name in spec.fixed}
    for each in drafts:
        if each.name in by:
            say(("space", each.name), f"{shown(each.name)} is in `fixed`, too", "keep one of them")
        by.setdefault(each.name, f"the parameter {shown(each.name)}")
    for each in drafts:
        for name in sorted(each.settings):
            if name in by:
                what = f"a preset of {shown(each.name)} sets {shown(name)}, and so does {by[name]}"
                say(("space", each.name), what, "set it in one place, or one of them would change nothing")
            by[name] = f"a preset of {shown(each.name)}"


def _check_values(spec: TuneSpec, drafts: Sequence[_Draft], family: Family, say: Say) -> None:
    """Whether the engine's family can do each value that is named."""
    for path, name, value, by in _named_values(spec, drafts):
        setting = family.settings.get(name)
        if setting is None:
            continue
        try:
            setting.words(value)
        except BadValue as bad:
            say(path, f"{by}{bad.what}", bad.fix)


def _named_values(spec: TuneSpec, drafts: Sequence[_Draft]) -> Iterator[tuple[Path, str, Value, str]]:
    """Where each value stands, what it sets, the value, and by which preset."""
    for name, value in spec.fixed.items():
        yield ("fixed", name), name, value, ""
    for each in drafts:
        if each.entry.flag is not None:
            continue
        for place, value in enumerate(each.entry.values or ()):
            path: Path = ("space", each.name, "values", place)
            if each.entry.type == "choice":
                yield path, each.name, value, ""
            for name, concrete in each.sets.get(str(value), {}).items():
                yield path, name, concrete, f"the preset {shown(value)}: "


def _ordered(parameters: Sequence[Parameter], say: Say) -> Iterator[Parameter]:
    """Each after those that its `when` names."""
    provider = {each.name: each.name for each in parameters}
    provider.update({name: each.name for each in parameters for sets in each.sets.values() for name in sets})
    left = list(parameters)
    done: set[str] = set()
    while left:
        ready = [each for each in left if _before(each, provider) <= done]
        if not ready:
            names = ", ".join(each.name for each in left[:5])
            say(("space", left[0].name, "when"), f"these wait for each other: {names}", "break the circle")
            return
        yield from ready
        done |= {each.name for each in ready}
        left = [each for each in left if each.name not in done]


def _before(parameter: Parameter, provider: Mapping[str, str]) -> set[str]:
    names = parameter.when.names if parameter.when is not None else ()
    return {provider[name] for name in names if name in provider}
