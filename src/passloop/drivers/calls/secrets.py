"""Keys by reference: `env:NAME` or `file:PATH`, looked up when a call is made, kept nowhere, never in a message."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from passloop.drivers.descriptors import lacks_descriptor

from .endpoints import Endpoint, is_reference

__all__ = ["Credentials", "KeyMissing", "credentials_of", "is_drawn", "redacted", "resolve"]

HIDDEN = "***"
SHORTEST = 6
"""Shorter keys are not looked for in texts: they would be found everywhere."""
SHORTEST_DRAWN, SURELY_DRAWN = 12, 32
"""So many characters has a key that is drawn, if digits and letters are among them; and so many is one in any case."""


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
    except (OSError, ValueError, RuntimeError) as error:  # no text, no path, no such user's folder
        if isinstance(error, OSError) and lacks_descriptor(error):
            raise
        raise KeyMissing(f"the file {path} for {what} cannot be read: {error}") from None
    if not key or "\n" in key:
        raise KeyMissing(f"the file {path} for {what} must hold one line, the secret")
    return key


class Credentials(NamedTuple):
    """What lets a call in: the headers that its endpoint asks for, as they are sent, and the secrets in them."""

    headers: Mapping[str, str]
    secrets: tuple[str, ...]

    def hide(self, text: str) -> str:
        """What is said about a call, without secrets."""
        return redacted(text, self.secrets) if self.secrets else text

    def hide_in_answer(self, text: str) -> str:
        """An answer, without secrets that nobody says by chance."""
        return redacted(text, filter(is_drawn, self.secrets)) if self.secrets else text


def credentials_of(endpoint: Endpoint, environ: Mapping[str, str] | None = None) -> Credentials:
    """What lets a call in at this endpoint, looked up now. Raises `KeyMissing`."""
    headers = dict(endpoint.headers)
    secrets: list[str] = []
    for name, value in endpoint.headers:
        if is_reference(value):
            headers[name] = resolve(value, environ, what=name)
            secrets += [headers[name], headers[name].partition(" ")[2]]  # of `Bearer KEY` the key, too
    if endpoint.api_key is not None:
        secrets.append(resolve(endpoint.api_key, environ))
        headers["Authorization"] = f"Bearer {secrets[-1]}"
    return Credentials(headers, tuple(sorted(secrets, key=len, reverse=True)))


def is_drawn(key: str) -> bool:
    """Whether a key looks drawn at random. A server that wants no key is given a word, such as `ollama` or `no-key`:
    an answer may say it.
    """
    if len(key) >= SURELY_DRAWN:
        return True
    return len(key) >= SHORTEST_DRAWN and any(map(str.isdigit, key)) and any(map(str.isalpha, key))


def redacted(text: str, keys: Iterable[str]) -> str:
    """The text without these keys, longer ones first: what an endpoint says is searched before it goes anywhere."""
    for key in keys:
        if len(key) >= SHORTEST:
            text = text.replace(key, HIDDEN)
    return text
