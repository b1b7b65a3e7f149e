"""Checks of single values of a tune spec, in the words of the person who wrote it. Each raises `BadValue`."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any

from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.spec_values import check_variables, sort_of
from passloop.apps.text import check_words, shown
from passloop.apps.units import duration_ms, size_mib

from .measures import MEASURES, OBJECTIVES

__all__ = [
    "AUTO",
    "BUILT_IN",
    "check_argv",
    "check_client",
    "check_gpus",
    "check_limit",
    "check_metric",
    "check_names",
    "check_objective",
    "check_parameter",
    "check_place",
    "check_plain",
    "check_presets",
    "check_values",
    "check_variables",
    "latency_ms",
    "size_or_auto",
]

AUTO = "auto"
CLIENTS = ("builtin", "aiperf", "guidellm", "vllm", "genai-bench")
BUILT_IN = ("host", "model", "port", "python")
"""What is in braces in an argv and is no parameter."""
MOST_VALUES = 10_000
LONGEST_VALUE = 1_000
LARGEST = 10**15

NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
LATENCY = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?(us|ms|s|m)")
MILLIS = {"us": 0.001, "ms": 1.0, "s": 1_000.0, "m": 60_000.0}
EXPRESSION_WORDS = frozenset({"and", "or", "not", "in", "true", "false", "null", "True", "False", "None", "min", "max"})

Path = tuple[str | int, ...]


def check_names(value: object) -> object:
    """A mapping of names that expressions and braces can say."""
    if not isinstance(value, dict):
        raise BadValue(f"this is {sort_of(value)}", "write a mapping of names: {batch: [64, 128]}")
    for name in value:
        if not isinstance(name, str) or not NAME.fullmatch(name) or name in EXPRESSION_WORDS:
            fix = "use letters, digits and _, beginning with a letter, and no word of expressions"
            raise BadValue(f"{shown(name)} is no name of a parameter", fix, path=(name,))
        if name in BUILT_IN:
            fix = f"name it otherwise: {', '.join(BUILT_IN)} are filled in by us"
            raise BadValue(f"the name {shown(name)} is taken", fix, path=(name,))
    return value


def check_parameter(value: object) -> object:
    """A list stands for a choice of its values."""
    return {"type": "choice", "values": value} if isinstance(value, list) else value


def check_values(value: object) -> object:
    """The values of a choice: distinct text, numbers and booleans."""
    if not isinstance(value, list):
        raise BadValue(f"values is {sort_of(value)}", "write a list: values: [1, 2, 4]")
    if not 1 <= len(value) <= MOST_VALUES:
        raise BadValue(f"there are {len(value):,} values", f"give 1 to {MOST_VALUES:,}")
    seen: set[tuple[str, Any]] = set()
    for place, each in enumerate(value):
        _check_scalar(each, (place,))
        told = (type(each).__name__, each)
        if told in seen:
            raise BadValue(f"the value {shown(each)} is there twice", "name it once", path=(place,))
        seen.add(told)
    return value


def check_client(value: object) -> object:
    """The name of a load client."""
    if value not in CLIENTS:
        raise BadValue(f"{shown(value)} is no load client", did_you_mean(str(value), CLIENTS))
    return value


def check_plain(value: object) -> object:
    """A mapping of names to text, numbers and booleans."""
    check_names(value)
    assert isinstance(value, dict)
    for name, each in value.items():
        _check_scalar(each, (name,))
    return value


def check_presets(value: object) -> object:
    """Presets by name: each a mapping of settings; `use` names others that it stands on."""
    if not isinstance(value, dict):
        raise BadValue(f"presets is {sort_of(value)}", "write a mapping: presets: {mine: {kv_cache: fp8_e4m3}}")
    for name, preset in value.items():
        if not isinstance(name, str) or not name or len(name) > 100 or name != name.strip():
            raise BadValue(f"{shown(name)} is no name of a preset", "write a short name", path=(name,))
        if not isinstance(preset, dict):
            fix = "write a mapping of settings: {weights: fp8}"
            raise BadValue(f"the preset is {sort_of(preset)}", fix, path=(name,))
        _check_preset(preset, name)
    return value


def _check_preset(preset: dict[str, Any], name: str) -> None:
    uses = preset.get("use", [])
    if not isinstance(uses, list) or not all(isinstance(each, str) for each in uses):
        raise BadValue("use is no list of presets", "write a list: use: [other]", path=(name, "use"))
    try:
        check_plain({key: value for key, value in preset.items() if key != "use"})
    except BadValue as bad:
        raise BadValue(bad.what, bad.fix, path=(name, *bad.path)) from None


def check_argv(value: object) -> object:
    """A list of words; it may be empty. A string is an error: it is never split."""
    if isinstance(value, str):
        raise BadValue("argv is one string; it is a list of words and never split", "write [serve, --port, ...]")
    if not isinstance(value, list):
        raise BadValue(f"argv is {sort_of(value)}", "write a list of words: [serve, --port, '{port}']")
    for place, word in enumerate(value):
        if not isinstance(word, str):
            raise BadValue(f"a word is {sort_of(word)}", "write text, in quotes where needed", path=(place,))
    return list(check_words(value)) if value else []


def check_limit(value: object) -> int:
    """A duration that is not 0, in ms."""
    millis = duration_ms(value)
    if millis == 0:
        raise BadValue("a limit of 0 would end it at once", "write a longer duration, or leave it out")
    return millis


def check_gpus(value: object) -> int | str:
    """How many whole GPUs, or an expression over parameters."""
    if isinstance(value, str) and value:
        return value
    if isinstance(value, bool) or not isinstance(value, int):
        fix = 'write whole GPUs, such as 1, or an expression: "tp * pp"'
        raise BadValue(f"gpus is {sort_of(value)}: a trial measures, so it has whole GPUs", fix)
    if not 0 <= value <= 1_024:
        raise BadValue(f"{shown(value)} GPUs are not possible", "write 0 to 1024")
    return value


def size_or_auto(value: object) -> int | str:
    """A size in MiB, or `auto`."""
    return AUTO if value == AUTO else size_mib(value)


def check_metric(value: object) -> object:
    """The name of a metric; `itl` is `tpot`."""
    if value == "itl":
        return "tpot"
    if not isinstance(value, str) or value not in MEASURES:
        raise BadValue(f"{shown(value)} is no metric", did_you_mean(str(value), MEASURES))
    return value


def check_objective(value: object) -> object:
    """A name such as `minimize_ttft` stands for its metric and direction."""
    if not isinstance(value, str):
        return value
    if value not in OBJECTIVES:
        raise BadValue(f"{shown(value)} is no objective", did_you_mean(value, OBJECTIVES))
    metric, direction = OBJECTIVES[value]
    return {"metric": metric, "direction": direction}


def check_place(value: object) -> object:
    """A point by its load: `{concurrency: 4}`, `{rate: 2}`, or its name `concurrency=4`; gives the name."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict) and len(value) == 1:
        kind, load = next(iter(value.items()))
        read = PLACES.get(str(kind))
        if read is not None and isinstance(load, int | float) and not isinstance(load, bool) and math.isfinite(load):
            return f"{kind}={read(load)}"
    raise BadValue(f"{sort_of(value)} names no point", "write it as in load.points: at: {concurrency: 4}")


PLACES: dict[str, Callable[[int | float], str]] = {"concurrency": str, "rate": lambda rate: f"{rate:g}"}


def latency_ms(value: object) -> float:
    """A latency as text with its unit (`800ms`, `0.5s`) in ms. A number without a unit is refused."""
    match = LATENCY.fullmatch(value.strip()) if isinstance(value, str) and len(value) < 40 else None
    if match is None:
        raise BadValue(f"{sort_of(value)} is no latency", "write it with its unit, such as 800ms or 0.5s")
    return float(match.group(1)) * MILLIS[match.group(2)]


def _check_scalar(value: object, path: Path) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise BadValue("this number is not finite", "write a finite number", path=path)
    if isinstance(value, int | float) and abs(value) > LARGEST:
        raise BadValue("this number is too large", "write a smaller number", path=path)
    if isinstance(value, str) and (not value or len(value) > LONGEST_VALUE or "\0" in value):
        raise BadValue("this text is empty, too long or has a NUL", "write a shorter value", path=path)
    if not isinstance(value, str | int | float | bool):
        raise BadValue(f"this is {sort_of(value)}", "write text, a number, true or false", path=path)
