"""What a load order may say to the built-in client beyond points and prompts. Reads them strictly; does nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from passloop.apps.errors import BadValue
from passloop.apps.tune.records import Record

__all__ = ["Options", "read_options"]


class Options(Record, frozen=True, kw_only=True):
    """`api` is the path asked: `completions` or `chat` (chat/completions). `body` is added to each request's body.

    `api_key` is a reference, `env:NAME` or `file:PATH`. `reuse` keeps connections. `in_flight` is the most requests at
    once in an open loop: those beyond wait, and their wait counts. `tokens` are counted by the server (`usage`) or, for
    one that sends no usage, as parts of the stream (`chunks`). A point is given up when more than `most_errors` of its
    requests failed (None: never), or when it over-saturates, if `stop_saturated`.
    """

    api: Literal["completions", "chat"] = "completions"
    body: dict[str, Any] = msgspec.field(default_factory=dict)
    api_key: str | None = None
    reuse: bool = True
    in_flight: int | None = None
    tokens: Literal["usage", "chunks"] = "usage"
    most_errors: float | None = 0.5
    stop_saturated: bool = True


def read_options(options: Mapping[str, Any]) -> Options:
    """The options of an order. Raises `BadValue` for an unknown word or a wrong type."""
    try:
        found = msgspec.convert(dict(options), Options)
    except msgspec.ValidationError as error:
        known = ", ".join(field.name for field in msgspec.structs.fields(Options))
        raise BadValue(f"load.options cannot be read: {error}", f"the built-in client knows {known}") from None
    if found.in_flight is not None and found.in_flight < 1:
        raise BadValue("load.options.in_flight is below 1", "give the most requests at once, or leave it out")
    return found
