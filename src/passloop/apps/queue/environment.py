"""Which of the submitter's variables are stored with a task: all but those that look like secrets, by name or value.

A secret reaches a task only when the user names it (`--env NAME` or `--env NAME=VALUE`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from passloop.apps.errors import BadValue
from passloop.apps.secrecy import holds_password, looks_secret
from passloop.apps.text import SURROGATE, shown

__all__ = ["Environment", "looks_secret", "read_variable", "storable"]

OF_ONE_ATTEMPT = frozenset(
    f"PASSLOOP_{name}" for name in ("TASK_ID", "ATTEMPT", "ATTEMPT_ID", "OUT", "GPUS", "INDEX", "LINE")
)
"""Set anew for each attempt; a task submitted from inside another must not inherit the outer one's."""
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,199}")


class Environment(NamedTuple):
    """What is stored, and the names of what was left out."""

    stored: dict[str, str]
    left_out: tuple[str, ...]


def storable(environment: Mapping[str, str]) -> Environment:
    """Split an environment into what is stored and the names left out (secrets, URLs with a password, text that is not
    UTF-8).
    """
    stored: dict[str, str] = {}
    left_out: list[str] = []
    for name, value in environment.items():
        if looks_secret(name) or holds_password(value) or SURROGATE.search(name) or SURROGATE.search(value):
            left_out.append(name)
        elif name not in OF_ONE_ATTEMPT:
            stored[name] = value
    return Environment(stored, tuple(sorted(left_out)))


def read_variable(text: str, environment: Mapping[str, str]) -> tuple[str, str]:
    """One `--env NAME=VALUE`, or `--env NAME` for its present value. Raises `BadValue`."""
    name, equals, value = text.partition("=")
    if not VARIABLE.fullmatch(name):
        raise BadValue(f"the variable {shown(name)} is not a name", "write --env NAME=VALUE")
    if not equals and name not in environment:
        raise BadValue(f"the variable {shown(name)} is not set here", f"write --env {name}=VALUE, or set it first")
    value = value if equals else environment[name]
    if "\0" in value or SURROGATE.search(value):
        raise BadValue(f"the value of {shown(name)} has a NUL or is not UTF-8", "give another value")
    return name, value
