"""Takes an answer apart: whole, or as a stream of server-sent events. Pure; what is no answer raises `Broken`."""

from __future__ import annotations

from typing import Any

import msgspec

from .caller import Answer, Usage
from .errors import Broken

__all__ = ["LARGEST", "StreamedAnswer", "check_size", "whole_answer"]

LARGEST = 64 * 1024 * 1024
"""Bytes that one answer may keep in the engine: more than the longest that models give, with all that is told of it."""
LONGEST_LINE = 16 * 1024 * 1024
"""Bytes of a stream's line, each of which is looked at anew with each piece that comes."""
PIECE = 64
"""Bytes that a piece of a streamed text takes beside its characters."""


def check_size(size: int, most: int) -> None:
    """Raises `Broken` for more bytes than an answer may have."""
    if size > most:
        raise Broken(f"what came is no answer: it is larger than {most >> 20} MiB")


def whole_answer(body: bytes) -> Answer:
    """An answer that came in one piece. Raises `Broken`."""
    try:
        said: Any = msgspec.json.decode(body)
        choice = said["choices"][0]
        message = choice.get("message")
        text = choice["text"] if message is None else message.get("content")
        return Answer(
            text="" if text is None else str(text),
            finish=choice.get("finish_reason"),
            usage=_usage(said.get("usage")),
            message=message,
        )
    except (msgspec.DecodeError, LookupError, TypeError, AttributeError) as error:
        raise Broken(f"what came is no answer ({type(error).__name__})", body) from None


def _usage(told: Any) -> Usage | None:
    if not isinstance(told, dict):
        return None
    counts = (told.get("prompt_tokens"), told.get("completion_tokens"))
    read, written = (count if isinstance(count, int) and count >= 0 else 0 for count in counts)
    return Usage(read, written)


class StreamedAnswer:
    """Collects a stream. `feed` takes bytes as they come; `answer` gives the whole once it has ended."""

    def __init__(self) -> None:
        self._rest = b""
        self._texts: list[str] = []
        self._size = 0
        self._finish: str | None = None
        self._usage: Usage | None = None
        self._done = False

    def feed(self, data: bytes) -> None:
        """Take in a piece. Raises `Broken` for what is no part of an answer, and for an error told in the stream."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        check_size(len(self._rest), LONGEST_LINE)
        for line in lines:
            if line.startswith(b"data:"):
                self._take(line[5:].strip())

    def answer(self) -> Answer:
        """The whole answer. Raises `Broken` if the stream ended before it did."""
        if not self._done and self._finish is None:
            raise Broken("the stream broke before its end")
        return Answer("".join(self._texts), self._finish, self._usage)

    def _take(self, data: bytes) -> None:
        if data == b"[DONE]":
            self._done = True
            return
        try:
            part: Any = msgspec.json.decode(data)
            error = part.get("error")
            choices = part.get("choices") or ()
            usage = _usage(part.get("usage"))
        except (msgspec.DecodeError, AttributeError):
            raise Broken("the stream holds what is no part of an answer") from None
        if error:
            raise Broken("the stream broke", data)
        self._usage = usage or self._usage
        for choice in choices[:1]:
            self._add(choice)

    def _add(self, choice: Any) -> None:
        try:
            text = choice["delta"].get("content") if "delta" in choice else choice.get("text")
        except (TypeError, AttributeError):
            raise Broken("the stream holds what is no part of an answer") from None
        if text:
            self._texts.append(str(text))
            self._size += len(self._texts[-1]) + PIECE
            check_size(self._size, LARGEST)
        self._finish = choice.get("finish_reason") or self._finish
