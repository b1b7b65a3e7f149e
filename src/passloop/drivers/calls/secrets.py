"""Keys by reference: `env:NAME` or `file:PATH`, looked up when a call is made, kept nowhere, never in a message."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from passloop.drivers.descriptors import lacks_descriptor

__all__ = ["KeyMissing", "redacted", "resolve"]

SHORTEST = 6
"""Shorter keys are not looked for in texts: they would be found everywhere."""


class KeyMissing(Exception):
    """There is no key where its reference points. The message names the reference and the other way to give one."""


def resolve(reference: str, environ: Mapping[str, str] | None = None, *, what: str = "api_key") -> str:
    """The secret that a reference names; `what` it is the value of is told where there is none. Raises `KeyMissing`."""
    kind, _, name = reference.partition(":")
    if kind == "env" and name:
        return _from_environment(name, os.environ if environ is None else environ, what)
    if kind == "file" and name:
        return _from_file(Path(name), what)
    raise KeyMissing(f"{what} is a reference, env:NAME or file:PATH, never the key itself")


def _from_environment(name: str, environ: Mapping[str, str], what: str) -> str:
    key = environ.get(name, "").strip()
    if not key:
        raise KeyMissing(
            f"the engine's environment has no {name}: set it and start the engine again, or say {what}: file:PATH"
        )
    return key


def _from_file(path: Path, what: str) -> str:
    try:
        key = path.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and lacks_descriptor(error):
            raise
        raise KeyMissing(f"the file {path} for {what} cannot be read: {error}") from None
    if not key or "\n" in key:
        raise KeyMissing(f"the file {path} for {what} must hold one line, the secret")
    return key


def redacted(text: str, key: str) -> str:
    """The text without the key: what an endpoint says is searched before it goes anywhere."""
    return text.replace(key, "***") if len(key) >= SHORTEST and key in text else text
