"""The spec's `load`, `objectives` and `slo` -> points, objectives and limits as records, every mistake at its place.

An objective names its point; nothing is averaged over points. Limits become numbers in the metric's own unit.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path as FilePath

from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.text import shown

from .load.options import read_options
from .load.outside import read_outside
from .load.prompts import prompts_of
from .measures import MAX_LOAD, MEASURES, Measure
from .parameters import Path, Say
from .records import Limits, LoadOrder, Objective, Point, Slo
from .secrets import check_api_key
from .spec import LimitEntry, Load, ObjectiveEntry, PointEntry, TuneSpec
from .spec_checks import latency_ms

__all__ = ["COUNTED", "check_load", "limits_of", "load_of", "objectives_of", "points_of", "slos_of"]

BUILTIN = "builtin:"
CLOSED_ONLY = "genai-bench"
PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?) ?%")
COUNTED = frozenset({"goodput", "goodput_per_gpu", "attainment"})
"""Metrics that count the requests that keep the limits of latencies."""
LATENCIES = frozenset({"ttft", "tpot", "e2e"})


def points_of(load: Load, say: Say) -> tuple[Point, ...]:
    """The points in order."""
    points: list[Point] = []
    for place, entry in enumerate(load.points):
        path: Path = ("load", "points", place)
        if (entry.concurrency is None) == (entry.rate is None):
            say(path, "a point has a concurrency or a rate", "write {concurrency: 4} or {rate: 2.0}")
            continue
        point = _point(entry, load)
        if any(point.name == other.name for other in points):
            say(path, f"the point {shown(point.name)} is there twice", "name it once")
        points.append(point)
    return tuple(points)


def load_of(
    spec: TuneSpec, points: tuple[Point, ...], folder: FilePath, say: Say, *, asked: str | None = None
) -> LoadOrder:
    """How servers are loaded; a file of prompts is relative to `folder`. Requests ask for `asked`, where the spec does
    not say for what.
    """
    load = spec.load
    prompts = load.prompts
    if not prompts.startswith(BUILTIN):
        try:
            path = (folder / prompts).resolve()
            there = path.is_file()
        except (OSError, ValueError, RuntimeError):
            path, there = folder, False
        if not there:
            say(("load", "prompts"), f"there is no file {shown(prompts)} beside this one", "or use builtin:short")
        prompts = str(path)
    if load.max_load is not None and load.max_load.low > load.max_load.high:
        say(("load", "max_load", "low"), "low is above high", "swap them")
    if load.max_load is not None and not spec.slo:
        say(("load", "max_load"), "the highest load under SLOs needs an SLO", "add `slo`, or remove it")
    return LoadOrder(
        client=load.client,
        prompts=prompts,
        model=load.model or asked,
        max_tokens=load.max_tokens,
        points=points,
        seed=load.seed,
        timeout=load.timeout,
        options=load.options,
    )


def check_load(load: LoadOrder, say: Say) -> None:
    """Whether its client takes these prompts and options. Files are read, where they are."""
    try:
        if load.prompts.startswith(BUILTIN) or FilePath(load.prompts).is_file():
            prompts_of(load.prompts, seed=load.seed)
    except BadValue as bad:
        say(("load", "prompts"), bad.what, bad.fix)
    try:
        if load.client == "builtin":
            read_options(load.options)
            check_api_key(load.options)
        else:
            read_outside(load.options)
    except BadValue as bad:
        say(("load", "options", *bad.path), bad.what, bad.fix)
    if load.client == CLOSED_ONLY and any(point.rate is not None for point in load.points):
        say(("load", "client"), f"{load.client} keeps no rate", "give a concurrency, or take another client")


def objectives_of(spec: TuneSpec, points: Sequence[Point], say: Say) -> tuple[Objective, ...]:
    """What is to be made best."""
    found: list[Objective] = []
    for place, entry in enumerate(spec.objectives):
        path: Path = ("objectives", place)
        measure = MEASURES[entry.metric]
        _check_stat(entry, measure, path, say)
        at = _objective_place(entry, points, path, say)
        direction = entry.direction or measure.better
        if direction != measure.better:
            say((*path, "direction"), f"{shown(entry.metric)} is better the other way", f"use {measure.better}")
        if entry.metric == MAX_LOAD and spec.load.max_load is None:
            say((*path, "metric"), "the highest load is not searched for", "add load: {max_load: {high: 64}}")
        _check_counted(entry.metric, spec, path, say)
        objective = Objective(metric=entry.metric, stat=entry.stat, at=at, direction=direction)
        if objective in found:
            say(path, "this objective is there twice", "name it once")
        found.append(objective)
    return tuple(found)


def slos_of(spec: TuneSpec, points: Sequence[Point], say: Say) -> tuple[Slo, ...]:
    """The limits, in the metrics' own units."""
    found: list[Slo] = []
    for place, entry in enumerate(spec.slo):
        path: Path = ("slo", place)
        measure = MEASURES[entry.metric]
        _check_stat(entry, measure, path, say)
        _check_place(entry.at, points, (*path, "at"), say)
        _check_counted(entry.metric, spec, path, say)
        if entry.metric == MAX_LOAD:
            say((*path, "metric"), "the highest load is what the SLOs allow, and no SLO itself", "make it an objective")
        slo = _limit(entry, measure, path, say)
        if slo is not None:
            found.append(slo)
    return tuple(found)


def limits_of(spec: TuneSpec) -> Limits:
    """The most that each phase may take."""
    limits = spec.limits
    return Limits(
        download=limits.download,
        start=spec.engine.ready.timeout,
        warmup=limits.warmup,
        point=limits.point,
        stop=limits.stop,
        verify=limits.verify,
        health=limits.health,
    )


def _point(entry: PointEntry, load: Load) -> Point:
    return Point(
        concurrency=entry.concurrency,
        rate=entry.rate,
        arrivals=entry.arrivals or load.arrivals,
        requests=entry.requests or load.requests,
        warmup=load.warmup if entry.warmup is None else entry.warmup,
        repeats=entry.repeats or load.repeats,
        seconds=entry.seconds or load.seconds,
    )


def _check_stat(entry: ObjectiveEntry | LimitEntry, measure: Measure, path: Path, say: Say) -> None:
    if entry.stat not in measure.stats:
        what = f"{shown(entry.metric)} has no {shown(entry.stat)}"
        say((*path, "stat"), what, did_you_mean(entry.stat, measure.stats))


def _objective_place(entry: ObjectiveEntry, points: Sequence[Point], path: Path, say: Say) -> str | None:
    if entry.metric == MAX_LOAD:
        if entry.at is not None:
            say((*path, "at"), "the highest load belongs to no point", "remove it")
        return None
    if entry.at is None and len(points) > 1:
        names = ", ".join(point.name for point in points[:5])
        say(path, "the objective names no point, and there are several", f"add for example at: {names.split(',')[0]}")
    return _check_place(entry.at, points, (*path, "at"), say)


def _check_place(at: str | None, points: Sequence[Point], path: Path, say: Say) -> str | None:
    names = [point.name for point in points]
    if at is not None and at not in names:
        say(path, f"there is no point {shown(at)}", did_you_mean(at, names) if names else "add it to load.points")
    return at


def _check_counted(metric: str, spec: TuneSpec, path: Path, say: Say) -> None:
    if metric in COUNTED and not any(each.metric in LATENCIES and each.max is not None for each in spec.slo):
        what = f"{shown(metric)} counts requests that keep limits of latencies, and there is none"
        say(path, what, "add for example slo: [{metric: ttft, stat: p95, max: 800ms}]")


def _limit(entry: LimitEntry, measure: Measure, path: Path, say: Say) -> Slo | None:
    key = "max" if measure.better == "minimize" else "min"
    other = "min" if key == "max" else "max"
    if getattr(entry, other) is not None:
        say((*path, other), f"{shown(entry.metric)} has no {other}: less is {_worth(measure)}", f"write {key}")
    value = getattr(entry, key)
    if value is None:
        if getattr(entry, other) is None:
            say(path, f"the limit of {shown(entry.metric)} is missing", f"write for example {key}: {_example(measure)}")
        return None
    try:
        number = _number(value, measure)
    except BadValue as bad:
        say((*path, key), bad.what, bad.fix)
        return None
    most, least = (number, None) if key == "max" else (None, number)
    return Slo(
        metric=entry.metric,
        stat=entry.stat,
        most=most,
        least=least,
        at=entry.at,
        weight=entry.weight,
        hard_fail=entry.hard_fail,
        fail_ratio=entry.fail_ratio,
    )


def _number(value: object, measure: Measure) -> float:
    """A limit in the metric's own unit. Raises `BadValue`."""
    if measure.unit == "ms":
        number = latency_ms(value)
        if number == 0:
            raise BadValue("a latency of 0 is never kept", "write for example 800ms")
        return number
    found = PERCENT.fullmatch(value) if isinstance(value, str) and measure.unit == "share" else None
    said = float(found.group(1)) / 100 if found is not None else value
    if isinstance(said, bool) or not isinstance(said, int | float) or said < 0:
        raise BadValue(f"{shown(value)} is no number", f"write for example {_example(measure)}")
    if measure.unit == "share" and said > 1:
        raise BadValue(f"{shown(value)} is more than all", "write a share such as 0.01, or 1%")
    return float(said)


def _example(measure: Measure) -> str:
    return {"ms": "800ms", "share": "0.01", "rate": "100"}[measure.unit]


def _worth(measure: Measure) -> str:
    return "better" if measure.better == "minimize" else "worse"
