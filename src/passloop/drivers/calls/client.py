"""The HTTP client, and the only file that knows which library it is. It sends a request again only if the connection it
kept for it turns out at once to have been closed, once, over a new one. Must never log a header, nor call a request not
sent of which a byte was.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import NoReturn
from weakref import WeakSet

import aiohttp
import msgspec
from aiohttp.connector import Connection
from aiohttp.tracing import Trace
from yarl import URL

from passloop.drivers import descriptors

from .answers import LARGEST, StreamedAnswer, check_size, whole_answer
from .caller import Answer, CallRequest
from .errors import Broken, NotSent, Silent, Unreachable

__all__ = ["Client", "Reply"]

CONNECT_SECONDS = 10
KEEP_ALIVE_SECONDS = 4
"""Servers close idle connections, some after 5 s; ours go before."""
STALE_S = 0.3
"""A connection that the server had closed while it was idle breaks within so many seconds of the send: what tells it is
the answer to our first packet, one round trip away, which is under 0.3 s around the world. What breaks later was taken
in by a server that may have worked on it: nobody knows what came of it, and it is not sent again here.
"""


@dataclass(frozen=True, slots=True)
class Reply:
    """What came: an answer for 200, else the error's body. Header names in any case."""

    status: int
    headers: Mapping[str, str]
    answer: Answer | None = None
    body: bytes = b""


@dataclass(slots=True)
class _Trip:
    """One request under way: whether it went over a connection that had been used before, and when, in seconds."""

    reused: bool = False
    sent: float = 0.0


class _Stale(Exception):
    """The server had closed the connection before the request came: nobody has read it."""


_TRIP: ContextVar[_Trip] = ContextVar("passloop_trip")
"""The trip of the call that is being made."""


class _Connector(aiohttp.TCPConnector):
    """Tells a trip whether its connection had been used before, and when it got it. The library's traces would tell it
    too, for a tenth of what a request costs.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        super().__init__(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS)
        self._used: WeakSet[object] = WeakSet()
        self._now = now

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109  as the library asks
    ) -> Connection:
        """Get a connection, kept or new."""
        connection = await super().connect(req, traces, timeout)
        trip = _TRIP.get()
        trip.reused, trip.sent = connection.protocol in self._used, self._now()
        self._used.add(connection.protocol)
        return connection


class Client:
    """Makes calls. Raises `Unreachable`, `NotSent`, `Broken`, `Silent`. `now` tells seconds; None for the loop's."""

    def __init__(self, *, now: Callable[[], float] | None = None) -> None:
        self._urls: dict[tuple[str, str], URL] = {}
        self._now = now or asyncio.get_running_loop().time
        self._kept = _session(_Connector(self._now))
        self._fresh = _session(aiohttp.TCPConnector(limit=0, force_close=True))

    async def close(self) -> None:
        """Close all connections."""
        await self._kept.close()
        await self._fresh.close()

    async def call(self, request: CallRequest, headers: Mapping[str, str]) -> Reply:
        """Make one call and take its answer apart."""
        try:
            return await self._send(self._kept, request, headers)
        except _Stale:  # others that are kept may be, too: a new one cannot
            return await self._send_again(request, headers)

    async def _send_again(self, request: CallRequest, headers: Mapping[str, str]) -> Reply:
        """Send over a new connection what was sent once already. While none can be opened it is waited for here:
        `NotSent` would be a lie, after which the request were sent over one that was kept, again and again.
        """
        while True:
            try:
                return await self._send(self._fresh, request, headers)
            except NotSent:
                await asyncio.sleep(descriptors.AGAIN_S)

    async def _send(self, session: aiohttp.ClientSession, request: CallRequest, headers: Mapping[str, str]) -> Reply:
        """Send a request over a connection of this session, once. Raises `_Stale` if nobody can have read it."""
        trip = _Trip()
        _TRIP.set(trip)
        try:
            return await self._once(session, headers, request, trip)
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            if trip.reused and self._now() - trip.sent < STALE_S:
                raise _Stale from None
            _translate(error)
        except (aiohttp.ClientError, ssl.SSLError, ValueError) as error:
            _translate(error)

    def _url(self, request: CallRequest) -> URL:
        """Where a request goes, made once for each endpoint. Raises `ValueError`."""
        place = request.model.endpoint.base_url, _path(request)
        url = self._urls.get(place)
        if url is None:
            url = self._urls[place] = URL(place[0].rstrip("/") + place[1])
        return url

    async def _once(
        self, session: aiohttp.ClientSession, headers: Mapping[str, str], request: CallRequest, trip: _Trip
    ) -> Reply:
        try:
            if request.silence is None:
                return await self._exchange(session, headers, request, trip, None)
            async with asyncio.timeout(request.silence / 1000) as watch:
                return await self._exchange(session, headers, request, trip, watch)
        except TimeoutError as error:
            if isinstance(error, aiohttp.ConnectionTimeoutError):
                raise Unreachable(f"it does not answer within {CONNECT_SECONDS} s") from None
            raise Silent(f"nothing came for {request.silence} ms") from None

    async def _exchange(
        self,
        session: aiohttp.ClientSession,
        headers: Mapping[str, str],
        request: CallRequest,
        trip: _Trip,
        watch: asyncio.Timeout | None,
    ) -> Reply:
        sending = session.post(self._url(request), data=_body(request), headers=headers, allow_redirects=False)
        async with sending as response:
            trip.reused = False  # an answer began: whatever breaks now is no stale connection
            return await _reply(response, watch, request)


def _session(connector: aiohttp.TCPConnector) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=connector,
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
        cookie_jar=aiohttp.DummyCookieJar(),
        skip_auto_headers=("User-Agent",),
    )


async def _reply(response: aiohttp.ClientResponse, watch: asyncio.Timeout | None, request: CallRequest) -> Reply:
    if response.status != 200:
        return Reply(response.status, response.headers, body=await _body_of(response))
    if not request.stream:
        body = await _body_of(response)
        check_size(len(body), LARGEST)
        return Reply(200, response.headers, whole_answer(body))
    collected = StreamedAnswer()
    async for piece in response.content.iter_any():
        if watch is not None and request.silence is not None:
            watch.reschedule(asyncio.get_running_loop().time() + request.silence / 1000)
        collected.feed(piece)
    return Reply(200, response.headers, collected.answer())


async def _body_of(response: aiohttp.ClientResponse) -> bytes:
    """What came; of more than `LARGEST` its beginning, which is more, too."""
    body = bytearray()
    async for piece in response.content.iter_any():
        body += piece
        if len(body) > LARGEST:
            break
    return bytes(body)


def _path(request: CallRequest) -> str:
    return "/chat/completions" if "messages" in request.body else "/completions"


def _body(request: CallRequest) -> bytes:
    body = {"model": request.model.name, **request.body}
    if request.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    return msgspec.json.encode(body)


def _translate(error: Exception) -> NoReturn:
    """Say in our words what the library says in its own. Nothing of a header is in them."""
    if isinstance(error, aiohttp.ClientConnectorError) and (
        descriptors.lacks_descriptor(error) or descriptors.none_left()
    ):
        raise NotSent("no connection could be opened for want of descriptors") from None
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        raise Unreachable(f"there is no host {error.host}") from None
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        raise Unreachable("its certificate is not good") from None
    if isinstance(error, aiohttp.ClientConnectorError):
        raise Unreachable(error.strerror or "the connection is refused") from None
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        raise Unreachable("that is no URL") from None
    if isinstance(error, aiohttp.ServerDisconnectedError):
        raise Broken("the server closed the connection before it answered") from None
    raise Broken(f"the connection broke ({type(error).__name__})") from None
