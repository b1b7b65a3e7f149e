"""The page's door: a listener on 127.0.0.1 alone, behind the guard, with the keys of the home. Owns which port it is.

An engine whose port is taken, or whose disk is full, runs without a page and says why; nothing else depends on it.
"""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any, NamedTuple

from passloop.clock import Clock, iso_utc
from passloop.store.home import Home

from .guard import Guard
from .keys import Codes, Keys, load_token
from .serve import LOOPBACK, TcpServer, listen_on_loopback
from .statics import STATIC, PublicFiles

__all__ = ["OneTimeUrl", "Page", "open_page"]

AUTO, OFF = "auto", "off"
PORT_FILE = "port"


class OneTimeUrl(NamedTuple):
    """An address that opens the page once; `expires_at` is wall time as text."""

    url: str
    expires_at: str | None


class Page:
    """The page as it is served: `url` is its base, or None and `absent` says why there is none."""

    def __init__(self, *, absent: str = "", port: int = 0, codes: Codes | None = None) -> None:
        self.absent = absent
        self.port = port
        self._codes = codes
        self.server: TcpServer | None = None

    @property
    def url(self) -> str | None:
        """The base URL."""
        return None if self._codes is None else f"http://{LOOPBACK}:{self.port}"

    def one_time_url(self) -> OneTimeUrl | None:
        """A new address that opens the page once; None if there is no page."""
        if self._codes is None:
            return None
        code, until = self._codes.make()
        return OneTimeUrl(f"{self.url}/open/{code}", iso_utc(until))

    async def stop(self) -> None:
        """Serve no more."""
        if self.server is not None:
            await self.server.stop()


async def open_page(app: Any, home: Home, clock: Clock, said: str, *, folder: Path = STATIC) -> Page:
    """Serve `app` to browsers, as the setting `page` says: `auto`, `off`, or a port. Never raises for a port or file
    that cannot be had.
    """
    if said == OFF:
        return Page(absent="the setting `page` is off")
    try:
        listener = _listener(home, said)
    except (OSError, ValueError, OverflowError) as error:
        why = getattr(error, "strerror", None) or "it is no port"
        return Page(absent=f"port {said} on {LOOPBACK} cannot be had: {why}")
    try:
        port = int(listener.getsockname()[1])
        keys, codes = Keys(load_token(home.token), port=port), Codes(clock)
        _keep(home, port)
    except OSError as error:
        listener.close()
        return Page(absent=f"the token cannot be kept in {home.path}: {error.strerror}")
    page = Page(port=port, codes=codes)
    public = PublicFiles(keys=keys, codes=codes, port=port, folder=folder)
    page.server = TcpServer(Guard(app, public, keys=keys, port=port), listener)
    await page.server.start()
    return page


def _listener(home: Home, said: str) -> socket.socket:
    """The port that was said; else the one of last time, so that open pages find it again, or any."""
    if said not in ("", AUTO):
        return listen_on_loopback(int(said))
    return listen_on_loopback(*_kept(home), 0)


def _kept(home: Home) -> tuple[int, ...]:
    try:
        text = (home.path / PORT_FILE).read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ()
    return (int(text),) if text.isdecimal() and 1024 <= int(text[:6]) < 65_536 else ()


def _keep(home: Home, port: int) -> None:
    path = home.path / PORT_FILE
    if _kept(home) != (port,):
        path.write_text(f"{port}\n", encoding="ascii")
        path.chmod(0o600)
