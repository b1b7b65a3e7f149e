"""Keys by reference: `env:NAME` or `file:PATH`, looked up when a call is made, kept nowhere, never in a message."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

__all__ = ["KeyMissing", "redacted", "resolve"]

SHORTEST = 6
"""Shorter keys are not looked for in texts: they would be found everywhere."""


class KeyMissing(Exception):
    """There is no key where its reference points. The message names the reference and the other way to give one."""


def resolve(reference: str, environ: Mapping[str, str] | None = None) -> str:
    """The key that a reference names. Raises `KeyMissing`."""
    kind, _, name = reference.partition(":")
    if kind == "env" and name:
        return _from_environment(name, os.environ if environ is None else environ)
    if kind == "file" and name:
        return _from_file(Path(name))
    raise KeyMissing("api_key is a reference, env:NAME or file:PATH, never the key itself")


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    key = environ.get(name, "").strip()
    if not key:
        raise KeyMissing(
            f"the engine's environment has no {name}: set it and start the engine again, or say api_key: file:PATH"
        )
    return key


def _from_file(path: Path) -> str:
    try:
        key = path.expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise KeyMissing(f"the file {path} for api_key cannot be read: {error}") from None
    if not key or "\n" in key:
        raise KeyMissing(f"the file {path} for api_key must hold one line, the key")
    return key


def redacted(text: str, key: str) -> str:
    """The text without the key: what an endpoint says is searched before it goes anywhere."""
    return text.replace(key, "***") if len(key) >= SHORTEST and key in text else text
