"""Finds adapters and benchmarks by name: those that come with passloop, and entry points of other packages.

It imports the light half only, when it is named. A plugin that cannot be imported is an error of the spec with the
install command, never a traceback.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

from passloop.apps.errors import BadValue, did_you_mean
from passloop.apps.text import shown

from .adapters.base import AdapterKind
from .benchmarks.base import BenchmarkKind

__all__ = ["adapter_kind", "adapter_names", "benchmark_kind", "benchmark_names"]

ADAPTERS = {
    "command": "passloop.apps.bench.adapters.command:KIND",
    "fake": "passloop.apps.bench.adapters.fake:KIND",
    "hf": "passloop.apps.bench.adapters.hf:KIND",
    "lm_eval": "passloop.apps.bench.adapters.lm_eval:KIND",
    "python": "passloop.apps.bench.adapters.python:KIND",
}
BENCHMARKS = {
    "cwe": "passloop.apps.bench.benchmarks.cwe:KIND",
    "files": "passloop.apps.bench.benchmarks.local_files:FILES",
    "humaneval": "passloop.apps.bench.benchmarks.humaneval:KIND",
    "lm_eval": "passloop.apps.bench.benchmarks.lm_eval:KIND",
    "longbench": "passloop.apps.bench.benchmarks.local_files:LONGBENCH",
    "niah": "passloop.apps.bench.benchmarks.niah:KIND",
    "ruler": "passloop.apps.bench.benchmarks.local_files:RULER",
    "vt": "passloop.apps.bench.benchmarks.vt:KIND",
}
INSTALL = "pip install 'passloop[bench]'"


def adapter_names() -> tuple[str, ...]:
    """Every adapter that is there."""
    return tuple(sorted({*ADAPTERS, *_entries("passloop.bench.adapters")}))


def benchmark_names() -> tuple[str, ...]:
    """Every benchmark that is there."""
    return tuple(sorted({*BENCHMARKS, *_entries("passloop.bench.benchmarks")}))


@cache
def adapter_kind(name: str) -> AdapterKind:
    """The adapter of this name. Raises `BadValue`."""
    known = {**_entries("passloop.bench.adapters"), **ADAPTERS}
    kind: AdapterKind = _found(name, known, sort="adapter", names=adapter_names())
    return kind


@cache
def benchmark_kind(name: str) -> BenchmarkKind:
    """The benchmark of this name. Raises `BadValue`."""
    known = {**_entries("passloop.bench.benchmarks"), **BENCHMARKS}
    kind: BenchmarkKind = _found(name, known, sort="benchmark", names=benchmark_names())
    return kind


def _found(name: str, known: Mapping[str, str], *, sort: str, names: Iterable[str]) -> Any:
    if name not in known:
        raise BadValue(f"there is no {sort} {shown(name)}", did_you_mean(name, names))
    module, _, attribute = known[name].partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ImportError as missing:
        lacking = shown(missing.name or str(missing))
        raise BadValue(f"the {sort} {shown(name)} cannot be loaded: {lacking} is missing", INSTALL) from None
    except AttributeError:
        raise BadValue(f"the {sort} {shown(name)} names {shown(known[name])}, which is not there", INSTALL) from None
    except Exception as error:
        what = f"the {sort} {shown(name)} cannot be loaded: {type(error).__name__}: {shown(str(error))}"
        raise BadValue(what, f"mend or remove the package that has {shown(module)}") from error


@cache
def _entries(group: str) -> Mapping[str, str]:
    return {entry.name: entry.value for entry in entry_points(group=group)}
