"""Translates what an endpoint said, or did not say, into an outcome, once: its kind, whom to blame, what it costs.

Pure. Two things decide for the kernel: `pool` (whom to blame; None = nobody but the cell) and the kind (rate_limited
costs no attempt). The table stands in docs/design/calls.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from passloop.kernel.tasks import Outcome, OutcomeKind
from passloop.passing import Passing

from .endpoints import Model
from .limits import is_shared, retry_after

__all__ = ["Broken", "NotSent", "Silent", "Unreachable", "outcome_of_status", "outcome_of_trouble", "words_of"]

MOST_WORDS = 200
LOOKED_AT = 65_536
"""Bytes of a body that is no JSON: what is told of it stands at its beginning."""
Hide = Callable[[str], str]
"""Takes the keys of a call out of a text. What an endpoint says is whole then: a key that is cut would not be found."""
TRANSIENT = frozenset({408, 409, 425})
SHARED_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached", "account_deactivated"})


class Unreachable(Exception):
    """There is no connection to the endpoint: refused, no such host, a bad certificate. Nothing was sent."""


class NotSent(Passing):
    """No connection could be opened for want of descriptors, which says nothing of the endpoint. Nothing was sent."""


class Broken(Exception):
    """The connection broke, or what came is no answer. It may have been paid for. `body` is what came, if it is to be
    told of: it may quote a key, so that it is never part of the message here.
    """

    def __init__(self, what: str, body: bytes = b"") -> None:
        super().__init__(what)
        self.body = body


class Silent(Exception):
    """Nothing came for too long."""


def outcome_of_trouble(trouble: Unreachable | Broken | Silent, model: Model, hide: Hide) -> Outcome:
    """The outcome of a call that got no answer."""
    if isinstance(trouble, Unreachable):
        return Outcome(
            OutcomeKind.RATE_LIMITED,
            message=f"no connection to {model.endpoint.base_url}: {trouble}",
            pool=model.endpoint.pool,
        )
    kind = OutcomeKind.TIMEOUT if isinstance(trouble, Silent) else OutcomeKind.FAILURE
    said = f"{model.name}: {trouble}"
    if isinstance(trouble, Broken) and trouble.body:
        said += f": {words_of(trouble.body, hide)[0]}"
    return Outcome(kind, message=said, pool=model.pool)


def outcome_of_status(
    status: int, headers: Mapping[str, str], body: bytes, model: Model, *, wall: int, hide: Hide
) -> Outcome:
    """The outcome of an answer that is none: any status but 200. `wall` is wall time in ms."""
    words, code = words_of(body, hide)
    said = f"{model.name} answered {status}" + (f": {words}" if words else "")
    wait = retry_after(headers, wall)
    if status == 429:
        shared = code in SHARED_CODES or is_shared(headers)
        pool = model.endpoint.pool if shared else model.pool
        return Outcome(OutcomeKind.RATE_LIMITED, message=said, pool=pool, status=status, retry_after=wait)
    if status in (401, 403):
        key = model.endpoint.key or "no api_key is given"
        said = f"{model.endpoint.base_url} lets us not in ({status}, key {key})" + (f": {words}" if words else "")
        return Outcome(OutcomeKind.RATE_LIMITED, message=said, pool=model.endpoint.pool, status=status)
    if status >= 500 or status in TRANSIENT:
        return Outcome(OutcomeKind.FAILURE, message=said, pool=model.pool, status=status, retry_after=wait)
    return Outcome(OutcomeKind.FAILURE, message=said, status=status, final=True)


def words_of(body: bytes, hide: Hide) -> tuple[str, str]:
    """What an error says, without keys, and its code, as far as the usual forms tell it; on one line, not too long."""
    try:
        said: Any = msgspec.json.decode(body)
    except msgspec.DecodeError:
        said = hide(body[:LOOKED_AT].decode("utf-8", "replace"))[: 4 * MOST_WORDS]
    code = ""
    if isinstance(said, dict):
        error = said.get("error", said.get("detail", said.get("message", "")))
        if isinstance(error, dict):
            code = str(error.get("code") or error.get("type") or "")
            error = error.get("message", "")
        said = error
    line = " ".join(hide(str(said)).split())
    return (line if len(line) <= MOST_WORDS else line[: MOST_WORDS - 1] + "…"), code
