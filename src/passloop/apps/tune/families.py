"""What is known of an engine's family: its argv, the flags of its settings, its presets and rules, as data files in
`presets/`.

A setting is an engine-neutral name (`tp`, `kv_cache`); a family says by which words it is set, and why a value that it
cannot do is refused. Nothing is mapped to nothing silently: a value that is not listed is a mistake.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

from passloop.apps.errors import BadValue
from passloop.apps.text import shown

from .records import Params, Value

__all__ = ["FAMILIES", "GENERIC", "Family", "Rule", "Setting", "Words", "common_presets", "family_of"]

FAMILIES = ("vllm", "sglang", "llamacpp", "transformers")


@dataclass(frozen=True, slots=True)
class Words:
    """What sets a value: words of the argv, each flag with what follows it, and variables."""

    argv: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: a `flag` that its value follows, or `values` with the words of each, and `refused` ones with why."""

    name: str
    about: str = ""
    flag: str | None = None
    values: Mapping[str, Words] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)

    def words(self, value: Value) -> Words:
        """What sets `value`. Raises `BadValue` for what the family cannot do."""
        told = _told(value)
        if told in self.refused or "*" in self.refused:
            why = self.refused.get(told) or self.refused["*"]
            raise BadValue(f"{shown(self.name)} cannot be {shown(told)} here: {why}", self._fix())
        if self.values:
            if told not in self.values:
                raise BadValue(f"{shown(self.name)} has no value {shown(told)}", self._fix())
            return self.values[told]
        assert self.flag is not None
        if isinstance(value, bool) or (isinstance(value, int | float) and value < 0):
            raise BadValue(f"{shown(self.name)} cannot be {shown(told)}", "write a number or text that its flag takes")
        return Words((self.flag, told))

    def _fix(self) -> str:
        return f"use one of: {', '.join(self.values)}" if self.values else "leave it out"


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold of a candidate, where all names in it are known, and what is told where it does not."""

    holds: str
    why: str


@dataclass(frozen=True, slots=True)
class Family:
    """One engine's family. `model` are words for a model that is named, where it need not be; `asks` says that
    requests name it by where it comes from. `gpus` are expressions with the condition under which each counts, the
    first that holds; `batch` and `context` name the settings that say how many sequences of how many tokens are kept.
    """

    name: str
    argv: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    asks: bool = False
    settings: Mapping[str, Setting] = field(default_factory=dict)
    defaults: Params = field(default_factory=dict)
    gpus: tuple[tuple[str, str], ...] = ()
    rules: tuple[Rule, ...] = ()
    no: str | None = None
    reset: str | None = None
    env: Mapping[str, str] = field(default_factory=dict)
    ready: str | None = None
    batch: str | None = None
    context: str | None = None


GENERIC = Family("")
"""Of an engine that nobody knows: only what the spec says."""


@cache
def family_of(name: str | None) -> Family:
    """The family of this name; `GENERIC` for None."""
    return GENERIC if name is None else _family(name, _read(name))


@cache
def common_presets() -> Mapping[str, Params]:
    """The presets that any family may be asked for."""
    presets: Mapping[str, Params] = _read("common")["presets"]
    return presets


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(files("passloop.apps.tune").joinpath("presets", f"{name}.toml").read_text("utf-8"))


def _family(name: str, told: Mapping[str, Any]) -> Family:
    return Family(
        name=name,
        argv=tuple(told["argv"]),
        model=tuple(told.get("model", ())),
        asks=told.get("asks", False),
        settings={each: _setting(each, about) for each, about in told.get("settings", {}).items()},
        defaults=told.get("defaults", {}),
        gpus=tuple((each.get("when", ""), each["count"]) for each in told.get("gpus", ())),
        rules=tuple(Rule(each["holds"], each["why"]) for each in told.get("rules", ())),
        no=told.get("no"),
        reset=told.get("reset"),
        env=told.get("env", {}),
        ready=told.get("ready"),
        batch=told.get("batch"),
        context=told.get("context"),
    )


def _setting(name: str, told: Mapping[str, Any]) -> Setting:
    return Setting(
        name=name,
        about=told.get("about", ""),
        flag=told.get("flag"),
        values={value: _words(words) for value, words in told.get("values", {}).items()},
        refused=told.get("refused", {}),
    )


def _words(told: Any) -> Words:
    if isinstance(told, Mapping):
        return Words(tuple(told.get("argv", ())), told.get("env", {}))
    return Words(tuple(told))


def _told(value: Value) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
