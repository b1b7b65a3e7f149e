"""Who may ask over TCP. Decided for every request before it is routed, validated or read; see `docs/design/page.md`.

A page of another site, a name that points to 127.0.0.1, or another user of this machine can reach the port. None of
them gets further than here. It knows no route but the few that are for everybody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, NamedTuple

from .errors import ErrorBody, error_reply
from .keys import Keys

__all__ = ["SECURITY_HEADERS", "Guard", "cookie_name"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Any, Send], Awaitable[None]]

READING = frozenset({"GET", "HEAD"})
SECURITY_HEADERS = (
    (
        b"content-security-policy",
        b"default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; object-src 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
)


class Refusal(NamedTuple):
    """A request that goes no further."""

    status: int
    body: ErrorBody


def cookie_name(port: int) -> str:
    """Cookies are shared by all ports of a host, so the name says whose it is."""
    return f"passloop-{port}"


class Guard:
    """The application behind its checks. `public` answers what is for everybody: static files and one-time URLs."""

    def __init__(self, app: Application, public: Application, *, keys: Keys, port: int) -> None:
        self._app = app
        self._public = public
        self._keys = keys
        self._hosts = frozenset({f"127.0.0.1:{port}", f"localhost:{port}"})
        self._origins = frozenset(f"http://{host}" for host in self._hosts)
        self._cookie = cookie_name(port)

    async def __call__(self, scope: Scope, receive: Any, send: Send) -> None:
        """Answer one request, or say why not."""
        if scope["type"] != "http":
            return
        send = with_security_headers(send)
        fields = _fields(scope)
        refusal = self._of_place(scope, fields)
        if refusal is None and is_public(scope):
            await self._public(scope, receive, send)
            return
        refusal = refusal or self._of_origin(scope, fields) or self._of_token(fields)
        if refusal is not None:
            await error_reply(refusal.status, refusal.body)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _of_place(self, scope: Scope, fields: dict[str, list[str]]) -> Refusal | None:
        """A name that an attacker's server points at 127.0.0.1 is not ours."""
        if not bytes(scope["raw_path"]).startswith(b"/"):
            return _no("wrong_host", "the address asked for is not one of this page")
        hosts = fields.get("host", [])
        if len(hosts) != 1 or hosts[0] not in self._hosts:
            return _no("wrong_host", "this page answers only under the address that `passloop ui` prints")
        return None

    def _of_origin(self, scope: Scope, fields: dict[str, list[str]]) -> Refusal | None:
        """What another site made the browser ask is refused whatever it carries; a cookie needs a proof for acts."""
        origins, sites = fields.get("origin", []), fields.get("sec-fetch-site", [])
        reads = scope["method"] in READING
        wrong_origin = any(origin not in self._origins for origin in origins)
        wrong_site = any(site != "same-origin" and not (reads and site == "none") for site in sites)
        unproven = not reads and not origins and not sites and "authorization" not in fields
        if wrong_origin or wrong_site or (unproven and "cookie" in fields):
            return _no("wrong_origin", "this was not asked by the page itself")
        return None

    def _of_token(self, fields: dict[str, list[str]]) -> Refusal | None:
        said = fields.get("authorization")
        if said is not None:
            scheme, _, token = said[0].partition(" ")
            known = len(said) == 1 and scheme.lower() == "bearer" and self._keys.is_token(token.strip())
        else:
            known = any(self._keys.is_cookie(value) for value in _cookies(fields, self._cookie))
        if known:
            return None
        message = "this page opens with a one-time address"
        return Refusal(401, ErrorBody("no_token", message, "passloop ui", 6))


def is_public(scope: Scope) -> bool:
    """Whether a request is one that everybody may make: it reads what is the same for all, or is a key itself."""
    path: str = scope["path"]
    return scope["method"] in READING and (path == "/" or path.startswith(("/static/", "/open/")))


def with_security_headers(send: Send) -> Send:
    """Say with every answer what a browser must not do with it."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *SECURITY_HEADERS]
        await send(message)

    return sending


def _no(code: str, message: str) -> Refusal:
    return Refusal(403, ErrorBody(code, message, "passloop ui", 6))


def _fields(scope: Scope) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, value in scope["headers"]:
        found.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
    return found


def _cookies(fields: dict[str, list[str]], name: str) -> list[str]:
    """The values under this name; a browser may send more than one."""
    parts = [part.strip().partition("=") for field in fields.get("cookie", ()) for part in field.split(";")]
    return [value for key, _, value in parts if key == name]
