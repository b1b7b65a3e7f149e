"""One request of the load: what is sent, and the record of what came. Never repeats one, never judges it.

Times are in ms since the start of the repeat. Latencies count from `scheduled`, the time at which the request was due:
what it then waited in this client is the server's doing (or the load's), and leaving it out hides just the slow ones
(coordinated omission). In a closed loop a request is due when one before it ended, so both are the same there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from passloop.apps.tune.records import LoadOrder, Record

from .options import Options
from .prompts import Prompt
from .stream import TokenStream
from .transport import Refused, Transport

__all__ = ["RequestRecord", "Sender"]


class RequestRecord(Record, frozen=True, kw_only=True):
    """One request, a line of `requests.jsonl`. Without `error` it was answered.

    Errors: `connect`, `closed`, `timeout`, `http_<status>`, `garbage` (no events), `stream_error` (the server said so),
    `no_text` (an answer without a word has no first token).
    """

    point: str
    repeat: int
    index: int
    scheduled: float
    sent: float
    ended: float
    first: float | None = None
    last: float | None = None
    tokens_in: int | None = None
    tokens_out: int | None = None
    chunks: int = 0
    status: int | None = None
    error: str | None = None
    message: str = ""

    @property
    def ttft(self) -> float | None:
        """From the scheduled time to the first token, ms."""
        return None if self.error or self.first is None else self.first - self.scheduled

    @property
    def e2e(self) -> float | None:
        """From the scheduled time to the last token, ms."""
        return None if self.error or self.last is None else self.last - self.scheduled

    def tokens(self, counted: Literal["usage", "chunks"]) -> int | None:
        """Tokens of the answer, as the server counts them or as parts of the stream."""
        return self.tokens_out if counted == "usage" else self.chunks

    def tpot(self, counted: Literal["usage", "chunks"]) -> float | None:
        """ms for each token after the first, `(last - first) / (tokens - 1)`; None for fewer than two tokens."""
        tokens = self.tokens(counted)
        if self.error or self.first is None or self.last is None or tokens is None or tokens < 2:
            return None
        return (self.last - self.first) / (tokens - 1)


class Sender:
    """Sends the requests of an order and records each."""

    def __init__(self, transport: Transport, order: LoadOrder, options: Options, model: str) -> None:
        self._transport = transport
        self._path = "/chat/completions" if options.api == "chat" else "/completions"
        self._options = options
        self._timeout = order.timeout
        self._common: dict[str, Any] = {
            "model": model,
            "max_tokens": order.max_tokens,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        } | options.body

    def body(self, prompt: Prompt) -> bytes:
        """The body of the request for a prompt."""
        own = {} if prompt.max_tokens is None else {"max_tokens": prompt.max_tokens}
        return msgspec.json.encode(self._common | own | prompt.body(self._options.api))

    async def send(
        self, body: bytes, *, place: tuple[str, int, int], start: float, due: float, on_first: Callable[[float], None]
    ) -> RequestRecord:
        """Send it and wait for the whole answer. `start` and `due` are on the loop's clock, in seconds.

        `place` is its point, repeat and index; `on_first` hears the time to the first token (ms) at once.
        """
        clock = asyncio.get_running_loop().time
        stream = TokenStream()
        sent = clock()

        def take(piece: bytes, at: float) -> None:
            waiting = stream.first is None
            stream.feed(piece, at)
            if waiting and stream.first is not None:
                on_first((stream.first - due) * 1000)

        status, error, message = await self._outcome(body, take, stream)
        return RequestRecord(
            point=place[0],
            repeat=place[1],
            index=place[2],
            scheduled=_ms(due - start),
            sent=_ms(sent - start),
            ended=_ms(clock() - start),
            first=None if stream.first is None else _ms(stream.first - start),
            last=None if stream.last is None else _ms(stream.last - start),
            tokens_in=stream.tokens_in,
            tokens_out=stream.tokens_out,
            chunks=stream.chunks,
            status=status,
            error=error,
            message=message,
        )

    async def _outcome(
        self, body: bytes, take: Callable[[bytes, float], None], stream: TokenStream
    ) -> tuple[int | None, str | None, str]:
        """Status, error and message."""
        try:
            async with asyncio.timeout(self._timeout / 1000):
                status = await self._transport.stream(self._path, body, take)
        except Refused as refused:
            return refused.status, refused.kind, str(refused)
        except TimeoutError:
            return None, "timeout", f"no whole answer within {self._timeout} ms"
        if stream.wrong is not None:
            return status, stream.wrong, stream.message
        if stream.first is None:
            return status, "no_text", "the answer has no text, so there is no first token"
        return status, None, ""


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)
