"""What the page's port has for everybody: the files of `static/`, and one-time URLs that set the cookie.

Only files that were found below `static/` when it was looked through can be asked for, so no path leads out of it. The
document asks for them below `/static/@VERSION/`, which tells how all of them are: there a browser may keep them for
good, so that the page comes at once the next time, and a new version is seen at once all the same.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

from .guard import Scope, Send, cookie_name
from .keys import Codes, Keys

__all__ = ["STATIC", "PublicFiles"]

STATIC = Path(__file__).parent / "static"
VERSION = "@"
FOR_GOOD = b"max-age=31536000, immutable"
ASK_AGAIN = b"no-cache"
COOKIE_SECONDS = 30 * 24 * 3600
TYPES = {
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".mjs": b"text/javascript; charset=utf-8",
    ".css": b"text/css; charset=utf-8",
    ".svg": b"image/svg+xml",
    ".png": b"image/png",
    ".ico": b"image/x-icon",
    ".json": b"application/json",
    ".woff2": b"font/woff2",
    ".txt": b"text/plain; charset=utf-8",
    ".md": b"text/plain; charset=utf-8",
}
ON_TO_THE_PAGE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>passloop</title>
<link rel="icon" href="/static/mark.svg"><meta http-equiv="refresh" content="0;url=/">
<p><a href="/">Open the page</a></p></html>
"""
USED_UP = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>passloop</title>
<p>This address was used before, or is too old. Get another one: <code>passloop ui</code></p></html>
"""
NO_PAGE = b"""<!doctype html><html lang="en"><meta charset="utf-8"><title>passloop</title>
<p>This passloop was installed without its page.</p></html>
"""


class Kept(NamedTuple):
    """A file as it was read: what it looked like then, its digest and its bytes."""

    stamp: tuple[int, int]
    etag: bytes
    data: bytes


class PublicFiles:
    """An ASGI application of static files and one-time URLs."""

    def __init__(self, *, keys: Keys, codes: Codes, port: int, folder: Path = STATIC) -> None:
        self._keys = keys
        self._codes = codes
        self._port = port
        self._folder = folder
        self._paths: dict[str, Path] = {}
        self._kept: dict[Path, Kept] = {}

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """Answer a request that `guard.is_public` lets through."""
        path: str = scope["path"]
        if path.startswith("/open/"):
            await self._open(scope, path.removeprefix("/open/"), send)
        elif path == "/":
            await self._document(scope, send)
        else:
            await self._static(scope, path.removeprefix("/static/"), send)

    async def _open(self, scope: Scope, code: str, send: Send) -> None:
        """The page itself goes on to `/`, so that a browser sees no other site on the way and sends the cookie."""
        if scope["method"] == "HEAD" or not self._codes.use(code):
            await _reply(send, scope, 403, USED_UP, [(b"cache-control", b"no-store")])
            return
        cookie = f"{cookie_name(self._port)}={self._keys.cookie}; Path=/; Max-Age={COOKIE_SECONDS}; HttpOnly; "
        fields = [(b"set-cookie", (cookie + "SameSite=Strict").encode()), (b"cache-control", b"no-store")]
        await _reply(send, scope, 200, ON_TO_THE_PAGE, fields)

    async def _document(self, scope: Scope, send: Send) -> None:
        found = self._found("index.html")
        if found is None:
            await _reply(send, scope, 404, NO_PAGE, [])
            return
        data = found.data.replace(b'"/static/', f'"/static/{VERSION}{self._version()}/'.encode())
        await _sent(send, scope, data, _etag(data), ASK_AGAIN, kind=TYPES[".html"])

    async def _static(self, scope: Scope, name: str, send: Send) -> None:
        version, name = name.removeprefix(VERSION).split("/", 1) if _is_versioned(name) else ("", name)
        found = self._found(name)
        if found is None:
            await _reply(send, scope, 404, b"there is no such file\n", [])
            return
        kept = FOR_GOOD if version and version == self._version() else ASK_AGAIN
        kind = TYPES.get(Path(name).suffix, b"application/octet-stream")
        await _sent(send, scope, found.data, found.etag, kept, kind=kind)

    def _version(self) -> str:
        """What all files look like now, in short."""
        if not self._paths:
            self._look()
        stamps = sorted((name, *_stamp(path)) for name, path in self._paths.items())
        return hashlib.blake2b(repr(stamps).encode(), digest_size=8).hexdigest()

    def _found(self, name: str) -> Kept | None:
        if name not in self._paths:
            self._look()
        path = self._paths.get(name)
        try:
            return None if path is None else self._read(path)
        except OSError:
            return None

    def _look(self) -> None:
        """Which files there are. Links are left out: a file of the package is a file."""
        files = (path for path in self._folder.rglob("*") if path.is_file() and not path.is_symlink())
        self._paths = {path.relative_to(self._folder).as_posix(): path for path in files}

    def _read(self, path: Path) -> Kept:
        stamp = _stamp(path)
        known = self._kept.get(path)
        if known is None or known.stamp != stamp:
            data = path.read_bytes()
            known = self._kept[path] = Kept(stamp, _etag(data), data)
        return known


def _is_versioned(name: str) -> bool:
    return name.startswith(VERSION) and "/" in name


def _stamp(path: Path) -> tuple[int, int]:
    """When a file was written, and its size; of one that is gone, nothing."""
    try:
        status = path.stat()
    except OSError:
        return (0, 0)
    return status.st_mtime_ns, status.st_size


def _etag(data: bytes) -> bytes:
    return f'"{hashlib.blake2b(data, digest_size=16).hexdigest()}"'.encode()


async def _sent(send: Send, scope: Scope, data: bytes, etag: bytes, kept: bytes, *, kind: bytes) -> None:
    """A file, or that the browser has it."""
    fields = [(b"etag", etag), (b"cache-control", kept)]
    asked = [value for field, value in scope["headers"] if field == b"if-none-match"]
    if any(etag in value for value in asked):
        await _reply(send, scope, 304, b"", fields)
        return
    await _reply(send, scope, 200, data, fields, kind=kind)


async def _reply(
    send: Send,
    scope: Scope,
    status: int,
    data: bytes,
    fields: list[tuple[bytes, bytes]],
    *,
    kind: bytes = TYPES[".html"],
) -> None:
    length = [] if status == 304 else [(b"content-type", kind), (b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*fields, *length]})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else data})
