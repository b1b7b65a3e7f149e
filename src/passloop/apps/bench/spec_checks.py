"""Checks of single values of a bench spec, in the words of the person who wrote it. Each raises `BadValue`."""

from __future__ import annotations

import math
from typing import Any

from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.spec_values import sort_of
from passloop.apps.text import check_name, shown
from passloop.apps.units import GpuAsk, cpus_milli, duration_ms, gpu_ask, size_mib

from .errors import ErrorClass
from .order import First

__all__ = [
    "AUTO",
    "AXES",
    "SHARE",
    "check_arguments",
    "check_cpus",
    "check_first",
    "check_limit",
    "check_retries",
    "check_row",
    "check_seeds",
    "check_subsets",
    "gpus_or_auto",
    "named_entries",
    "size_or_auto",
]

AUTO = "auto"
SHARE = "share"
AXES = ("model", "sparse_attention", "benchmark", "subset", "seed")
MOST_SEEDS = 100_000
LONGEST_VALUE = 10_000

Path = tuple[str | int, ...]


def named_entries(value: object) -> object:
    """A mapping of names to entries; a list of names, or a name without anything, stands for empty entries."""
    entries = dict.fromkeys(value) if isinstance(value, list) and _are_texts(value) else value
    if not isinstance(entries, dict):
        raise BadValue(f"this is {sort_of(value)}", "write a mapping of names: {first: {}, second: {}}")
    if not entries:
        raise BadValue("there is no name", "name at least one: {first: {}}")
    for name in entries:
        try:
            check_name(name)
        except BadValue as bad:
            raise BadValue(bad.what, bad.fix, path=(name,)) from None
    return {name: {} if entry is None else entry for name, entry in entries.items()}


def check_arguments(value: object) -> object:
    """Plain data under names, fit for a hash: text, finite numbers, booleans, lists and mappings of them."""
    if not isinstance(value, dict):
        raise BadValue(f"this is {sort_of(value)}", "write a mapping: {max_new_tokens: 16}")
    _check_plain(value, ())
    return value


def check_subsets(value: object) -> object:
    """A list of distinct names; whole numbers are taken as their digits."""
    if not isinstance(value, list):
        raise BadValue(f"subsets is {sort_of(value)}", "write a list: subsets: [first, second]")
    names = [str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in value]
    for place, name in enumerate(names):
        if not isinstance(name, str):
            raise BadValue(f"a subset is {sort_of(name)}", "write text, in quotes where needed", path=(place,))
        try:
            check_name(name)
        except BadValue as bad:
            raise BadValue(bad.what, bad.fix, path=(place,)) from None
        if name in names[:place]:
            raise BadValue(f"the subset {shown(name)} is there twice", "name it once", path=(place,))
    return names


def check_row(value: object) -> dict[str, tuple[str, ...]]:
    """Axes to the names meant (one or a list; `*` and `?` stand for any characters)."""
    if not isinstance(value, dict) or not value:
        raise BadValue(f"a row is {sort_of(value)}", "write a mapping of axes to names: {model: a, benchmark: b}")
    row: dict[str, tuple[str, ...]] = {}
    for axis, wanted in value.items():
        if axis not in AXES:
            raise BadValue(f"{shown(axis)} is no axis", did_you_mean(str(axis), AXES), path=(axis,))
        each = wanted if isinstance(wanted, list | tuple) else [wanted]
        if not each or any(isinstance(one, bool) or not isinstance(one, str | int) for one in each):
            raise BadValue(f"{shown(axis)} is {sort_of(wanted)}", "write a name or a list of names", path=(axis,))
        row[axis] = tuple(str(one) for one in each)
    return row


def check_seeds(value: object) -> object:
    """How many seeds, counted from 0, or a list of distinct ones."""
    if isinstance(value, int) and not isinstance(value, bool):
        if not 1 <= value <= MOST_SEEDS:
            raise BadValue(f"{shown(value)} seeds are not possible", f"use 1 to {MOST_SEEDS:,}")
        return list(range(value))
    if not isinstance(value, list):
        raise BadValue(f"seeds is {sort_of(value)}", "write how many, or a list: seeds: [1, 2, 3]")
    for place, seed in enumerate(value):
        if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**63:
            raise BadValue(f"a seed is {sort_of(seed)}", "write whole numbers from 0", path=(place,))
        if seed in value[:place]:
            raise BadValue(f"the seed {seed} is there twice", "name it once", path=(place,))
    return value


def check_first(value: object) -> First:
    """Which cells come first."""
    if isinstance(value, First):
        return value
    names = [each.value for each in First]
    if value not in names:
        raise BadValue(f"first is {sort_of(value)}", did_you_mean(str(value), names))
    return First(value)


def check_retries(value: object) -> object:
    """Classes of errors to how often a cell is tried again."""
    if not isinstance(value, dict):
        raise BadValue(f"retries is {sort_of(value)}", "write a mapping: retries: {network: 5}")
    names = [each.value for each in ErrorClass]
    for name in value:
        if name not in names:
            raise BadValue(f"{shown(str(name))} is no class of errors", did_you_mean(str(name), names), path=(name,))
    return {ErrorClass(name): count for name, count in value.items()}


def check_limit(value: object) -> int:
    """A duration that is not 0, in ms."""
    millis = duration_ms(value)
    if millis == 0:
        raise BadValue("a limit of 0 would end the cell at once", "write a longer duration, or leave it out")
    return millis


def check_cpus(value: object) -> int:
    """CPUs in 1/1,000, more than none: a cell is a process."""
    cpus = cpus_milli(value)
    if cpus == 0:
        raise BadValue("a cell without any CPU cannot run", "write for example cpus: 1")
    return cpus


def size_or_auto(value: object) -> int | str:
    """A size in MiB, or `auto`."""
    return AUTO if value == AUTO else size_mib(value)


def gpus_or_auto(value: object) -> GpuAsk | str:
    """GPUs, or `auto`, or `share`."""
    return str(value) if value in (AUTO, SHARE) else value if isinstance(value, GpuAsk) else gpu_ask(value)


def _check_plain(value: Any, path: Path) -> None:
    if isinstance(value, dict):
        for name, each in value.items():
            if not isinstance(name, str):
                raise BadValue(f"{shown(name)} is not a name", "quote it", path=path)
            _check_plain(each, (*path, name))
    elif isinstance(value, list | tuple):
        for place, each in enumerate(value):
            _check_plain(each, (*path, place))
    elif isinstance(value, float) and not math.isfinite(value):
        raise BadValue("this number is not finite", "write a finite number", path=path)
    elif isinstance(value, str) and (len(value) > LONGEST_VALUE or "\0" in value):
        raise BadValue("this text is too long or has a NUL", "put it into a file", path=path)
    elif value is not None and not isinstance(value, str | int | float | bool):
        raise BadValue(f"this is {sort_of(value)}", "write text, numbers, booleans, null, lists, mappings", path=path)


def _are_texts(value: list[Any]) -> bool:
    return bool(value) and all(isinstance(each, str) for each in value)
