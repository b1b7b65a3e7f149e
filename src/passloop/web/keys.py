"""The secrets of the page: the token of the home, the cookie that is derived from it, and one-time codes.

The token lies in a file that only its user can read, 256 bits as hex. It is made once and kept; whoever replaces or
removes the file makes every cookie worthless. Nothing here is ever written to a log or into a document.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
import stat
from pathlib import Path

from passloop.clock import Clock

__all__ = ["CODE_LIVES", "Codes", "Keys", "load_token"]

CODE_LIVES = 600_000
"""Milliseconds in which a one-time code may be used."""
_MOST_CODES = 64
_TOKEN = re.compile(r"[0-9a-f]{64}")


class Keys:
    """What opens the page on a port: the token in a header, or the cookie made of both. Whoever takes the port while no
    engine has it is shown the cookie by pages that are open, so that it must open no other.
    """

    def __init__(self, token: str, *, port: int) -> None:
        self._token = token.encode()
        self.cookie = hmac.new(self._token, b"passloop page cookie %d" % port, hashlib.sha256).hexdigest()

    def is_token(self, said: str) -> bool:
        """Whether this is the token. Takes as long for every wrong one."""
        return hmac.compare_digest(said.encode("utf-8", "replace"), self._token)

    def is_cookie(self, said: str) -> bool:
        """Whether this is the cookie's value. Takes as long for every wrong one."""
        return hmac.compare_digest(said.encode("utf-8", "replace"), self.cookie.encode())


class Codes:
    """One-time codes: each opens the page once, and only for a while. Kept in memory, as digests."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._until: dict[str, int] = {}

    def make(self) -> tuple[str, int]:
        """A new code, and the engine time in ms until which it is good."""
        while len(self._until) >= _MOST_CODES:
            self._until.pop(next(iter(self._until)))
        code, until = secrets.token_urlsafe(32), self._clock.now() + CODE_LIVES
        self._until[_digest(code)] = until
        return code, until

    def use(self, code: str) -> bool:
        """Whether the code is good. It never is again."""
        until = self._until.pop(_digest(code), None)
        return until is not None and self._clock.now() <= until


def load_token(path: Path) -> str:
    """The token in the file at `path`, made if there is none that is one. Raises `OSError`."""
    try:
        return _read(path)
    except (FileNotFoundError, ValueError):
        return _made(path)


def _read(path: Path) -> str:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(descriptor, encoding="ascii") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            raise ValueError("the token is not a file of ours")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise ValueError("others could read the token")
        token = file.read(200).strip()
    if _TOKEN.fullmatch(token) is None:
        raise ValueError("the token is not one")
    return token


def _made(path: Path) -> str:
    """A new token, in a file of its own before it takes its name: it is whole or not there."""
    token, aside = secrets.token_hex(32), path.with_name(path.name + ".new")
    aside.unlink(missing_ok=True)
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        os.fchmod(descriptor, 0o600)
        file.write(token + "\n")
        file.flush()
        os.fsync(descriptor)
    aside.replace(path)
    return token


def _digest(code: str) -> str:
    return hashlib.sha256(code.encode("utf-8", "replace")).hexdigest()
