"""Candidates looked at before anything runs: two with equal argv are a mistake, none that could run is one, too.

A large space is not written out: its first points are looked at, and around one of them each value of each parameter.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TYPE_CHECKING

from passloop.apps.errors import BadValue
from passloop.apps.text import shown

from .parameters import Say
from .records import Params, Value
from .search.axes import is_point
from .space import Parameter, Space

if TYPE_CHECKING:
    from .candidates import Candidate
    from .study import Study

__all__ = ["MOST_EXAMINED", "around", "examined", "has_baseline_beside"]

MOST_EXAMINED = 2_000
MOST_VALUES = 100


def examined(study: Study, say: Say) -> Iterator[str]:
    """Say what is wrong with the candidates; what could not be looked at is told."""
    yield from _check_search(study, say)
    points = study.space.points
    whole = points is not None and points <= MOST_EXAMINED
    seen: dict[tuple[object, ...], Candidate] = {}
    unable: list[Candidate] = []
    for params in _answered(_looked_at(study.space, whole=whole), say):
        candidate = study.candidate(params)
        if candidate.invalid is not None:
            unable.append(candidate)
            continue
        twin = seen.setdefault(candidate.same, candidate)
        if twin.params != candidate.params:
            say(*_equal(twin, candidate))
            break
    if not seen:
        why, fix = (unable[0].invalid, unable[0].fix) if unable else ("there is none", "")
        say(("space",), f"no candidate can run: {why}", fix or "change the space, or `resources`")
    if not whole:
        yield f"the space is large: {len(seen):,} candidates were looked at for equal argv, not all of them"
    yield from _check_baseline(study, say)


def around(space: Space, first: Params) -> Iterator[Params]:
    """A point, and each value of each parameter in its place, the others as they are."""
    yield first
    for each in space.parameters:
        for value in _some_values(each):
            drawn = {**first, each.name: value}
            yield space.suggest(lambda one, drawn=drawn: drawn.get(one.name, _some_values(one)[0]))  # type: ignore[misc]


def has_baseline_beside(study: Study) -> bool:
    """Whether the baseline is no point of the space, so that its trial is one more."""
    return study.baseline is not None and not is_point(study.space, study.baseline.params)


def _grid(study: Study) -> tuple[int, int]:
    """How many points a grid has, and the most trials; neither where no number of trials could cut it."""
    most, points = study.spec.search.max_trials, study.space.points
    if study.spec.search.sampler != "grid" or most is None or points is None:
        return 0, 0
    if points > max(most, MOST_EXAMINED):
        return points, most
    return sum(study.candidate(params).invalid is None for params in study.space.grid()), most


def _looked_at(space: Space, *, whole: bool) -> Iterator[Params]:
    if whole:
        yield from space.grid()
        return
    seen: set[tuple[tuple[str, Value], ...]] = set()
    first = space.suggest(lambda each: _some_values(each)[0])
    points = around(space, first)
    if space.points is not None:
        points = itertools.chain(points, itertools.islice(space.grid(), MOST_EXAMINED // 2))
    for params in itertools.islice(points, MOST_EXAMINED):
        key = tuple(params.items())
        if key not in seen:
            seen.add(key)
            yield params


def _answered(points: Iterator[Params], say: Say) -> Iterator[Params]:
    """The points, up to one at which a `when` cannot be answered: that is said."""
    try:
        yield from points
    except BadValue as bad:
        say(("space",), bad.what, bad.fix)


def _some_values(parameter: Parameter) -> list[Value]:
    """All values of a parameter, or some from low to high."""
    if parameter.values is None:
        middle = (parameter.low + parameter.high) / 2
        return [float(parameter.low), middle, float(parameter.high)]
    count = len(parameter.values)
    if count <= MOST_VALUES:
        return list(parameter.values)
    return [parameter.values[place * (count - 1) // (MOST_VALUES - 1)] for place in range(MOST_VALUES)]


def _equal(one: Candidate, other: Candidate) -> tuple[tuple[str, ...], str, str]:
    names = [name for name in {**one.params, **other.params} if one.params.get(name) != other.params.get(name)]
    told = " and ".join(_told(each.params, names) for each in (one, other))
    what = f"two candidates have the same argv and would be measured twice: {told}"
    return ("space", names[0]), what, "let each value change the argv, or give one of them"


def _told(params: Params, names: list[str]) -> str:
    return shown(", ".join(f"{name}={params[name]}" for name in names if name in params) or "nothing", longest=120)


def _check_search(study: Study, say: Say) -> Iterator[str]:
    search, points = study.spec.search, study.space.points
    if search.sampler in ("grid", "bruteforce") and points is None:
        names = ", ".join(each.name for each in study.space.parameters if each.values is None)
        say(("search", "sampler"), f"a {search.sampler} has no end over {names}", "give a step, or use tpe or random")
    count, most = _grid(study)
    if count > most:
        what = f"the grid has {count:,} candidates and max_trials is {most:,}: it would be cut to its beginning"
        say(("search", "max_trials"), what, "raise it, give fewer values, or use the sampler random")
    elif count == most > 0 and has_baseline_beside(study):
        yield (
            f"the baseline is one of the {most:,} trials, so that the last of the grid's {count:,} candidates is not"
            f" tried; max_trials: {most + 1} tries all"
        )


def _check_baseline(study: Study, say: Say) -> Iterator[str]:
    said = study.spec.search.baseline
    if said is False:
        return
    candidate = study.candidate({} if said is True else said)
    path: tuple[str, ...] = ("search", "baseline")
    if said is not True:
        left_out = [name for name in said if name not in candidate.params and name in study.space.names]
        wrong = study.space.wrong(said)
        if wrong is not None:
            say(path, f"the baseline: {wrong}", "name parameters of the space, with values that they can have")
        elif left_out:
            say((*path, left_out[0]), f"{shown(left_out[0])} is not active in the baseline", "leave it out there")
        elif candidate.invalid is not None:
            say(path, f"the baseline cannot run: {candidate.invalid}", "give other values, or baseline: false")
    elif candidate.invalid is not None:
        if "baseline" in study.spec.search.model_fields_set:
            say(path, f"the baseline cannot run: {candidate.invalid}", "name its values, or write baseline: false")
        else:
            yield f"there is no baseline, because without any parameter {candidate.invalid}"
