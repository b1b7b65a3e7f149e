"""Secrets that a study's servers and its load client are given: by reference only, so that none is stored or shown.

A variable whose name looks like that of a secret says `env:NAME` or `file:PATH`. The engine looks there when a trial
starts; in specs, orders and reports stands the reference.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from passloop.apps.errors import BadValue
from passloop.apps.secrecy import looks_secret
from passloop.apps.text import shown

__all__ = ["check_api_key", "literal_secrets", "references"]

REFERENCE = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,199}|file:.+")
KEY = "api_key"


def literal_secrets(env: Mapping[str, str]) -> Iterator[tuple[str, BadValue]]:
    """The variables that look like secrets and hold a value instead of a reference, each with what to say."""
    for name, value in env.items():
        if looks_secret(name) and REFERENCE.fullmatch(value) is None:
            what = f"{shown(name)} looks like a secret, and its value would be stored"
            yield name, BadValue(what, f"write {name}: env:{name}, or file:PATH; then it is read when a trial starts")


def check_api_key(options: Mapping[str, Any]) -> None:
    """Whether the load client's key is a reference that can be looked up, and hidden. Raises `BadValue`."""
    key = options.get(KEY)
    if key is None:
        return
    if not isinstance(key, str) or REFERENCE.fullmatch(key) is None:
        raise BadValue("api_key is a reference, never the key itself", "write env:NAME or file:PATH", path=(KEY,))
    kind, _, name = key.partition(":")
    if kind == "env" and not looks_secret(name):
        what = f"the variable {shown(name)} does not look like a secret, so it would be shown"
        raise BadValue(what, "keep the key in one that does, such as MY_API_KEY", path=(KEY,))


def references(env: Mapping[str, str], options: Mapping[str, Any], folder: Path) -> dict[str, str]:
    """Variable -> reference, for the engine to look up: the server's, and the load client's. Paths are made absolute by
    `folder`.
    """
    found = {name: value for name, value in env.items() if looks_secret(name)}
    kind, _, name = str(options.get(KEY) or "").partition(":")
    if kind == "env":
        found.setdefault(name, f"env:{name}")
    return {name: _absolute(reference, folder) for name, reference in found.items()}


def _absolute(reference: str, folder: Path) -> str:
    kind, _, path = reference.partition(":")
    return f"file:{folder / Path(path).expanduser()}" if kind == "file" else reference
