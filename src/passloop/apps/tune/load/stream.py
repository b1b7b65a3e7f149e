"""Takes a stream of server-sent events apart while it comes and notes when its tokens did. Reads no clock of its own.

Of each event only what is measured is decoded. The time of a piece is given to it, taken as soon as it was there.
"""

from __future__ import annotations

from typing import Any

import msgspec

__all__ = ["TokenStream"]

MOST_UNFINISHED = 4 * 1024 * 1024
"""A line longer than this is no event."""


class _Delta(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Choice(msgspec.Struct):
    text: str | None = None
    delta: _Delta | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class _Event(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None


_decoder = msgspec.json.Decoder(_Event)


class TokenStream:
    """What has come of an answer. Times are those given to `feed`; a part without text counts for nothing.

    `wrong` is what makes it no answer: `garbage` or `stream_error`, with the `message`. `done` says whether it ended
    with the word that ends it.
    """

    __slots__ = ("_rest", "chunks", "done", "first", "last", "message", "tokens_in", "tokens_out", "wrong")

    def __init__(self) -> None:
        self.first: float | None = None
        self.last: float | None = None
        self.chunks = 0
        self.tokens_in: int | None = None
        self.tokens_out: int | None = None
        self.done = False
        self.wrong: str | None = None
        self.message = ""
        self._rest = b""

    def feed(self, piece: bytes, at: float) -> None:
        """Take what came at a time; a piece may hold several events or a part of one."""
        lines = (self._rest + piece).split(b"\n")
        self._rest = lines.pop()
        if len(self._rest) > MOST_UNFINISHED:
            self._fail("garbage", "a line of the stream has no end")
            self._rest = b""
        for line in lines:
            if line.startswith(b"data:"):
                self._take(line[5:].strip(), at)

    def _take(self, data: bytes, at: float) -> None:
        if data == b"[DONE]":
            self.done = True
            return
        try:
            event = _decoder.decode(data)
        except msgspec.DecodeError as error:
            self._fail("garbage", str(error))
            return
        if event.error is not None:
            self._fail("stream_error", str(event.error))
        if event.usage is not None:
            self.tokens_in, self.tokens_out = event.usage.prompt_tokens, event.usage.completion_tokens
        if any(_has_text(choice) for choice in event.choices):
            self.chunks += 1
            self.last = at
            self.first = at if self.first is None else self.first

    def _fail(self, kind: str, message: str) -> None:
        if self.wrong is None:
            self.wrong, self.message = kind, message[:300]


def _has_text(choice: _Choice) -> bool:
    delta = choice.delta
    return bool(choice.text or (delta and (delta.content or delta.reasoning_content or delta.reasoning)))
