"""What a check finds: a verdict, one sentence, and the next step if there is one."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

__all__ = ["Check", "Finding", "Place", "Verdict", "fail", "ok", "warn"]


class Verdict(StrEnum):
    """How bad it is: `fail` means that passloop cannot keep a promise here."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(NamedTuple):
    """The result of one check. `is_damage`: what is stored is not what was written."""

    verdict: Verdict
    text: str
    hint: str = ""
    is_damage: bool = False


class Place(NamedTuple):
    """What is checked: the home's path, and the environment that an engine would get."""

    home: str
    environment: dict[str, str]


class Check(NamedTuple):
    """A check by its name."""

    name: str
    look: Callable[[Place], Finding]


def ok(text: str) -> Finding:
    """All is well."""
    return Finding(Verdict.OK, text)


def warn(text: str, hint: str = "") -> Finding:
    """It works, with a limit that one should know."""
    return Finding(Verdict.WARN, text, hint)


def fail(text: str, hint: str = "", *, is_damage: bool = False) -> Finding:
    """It does not work."""
    return Finding(Verdict.FAIL, text, hint, is_damage)
