"""What a faulty endpoint does, as data: for each model its latency, limits, faults and answers. Pure; it plays nothing.

Spans in ms, rates per minute. A script is JSON text; an unknown word in it is an error.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Literal

import msgspec

__all__ = ["Fault", "FaultKind", "ModelScript", "Script"]

FaultKind = Literal["status", "hang", "close", "cut", "garbage"]


class Fault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes wrong with some calls of a model. Of several that apply the first is played.

    `kind` is an answer with `status`, no answer at all (`hang`), the connection closed before the answer (`close`) or
    in the middle of it (`cut`), or an answer that is no JSON (`garbage`). It applies from `after` to `until` (since the
    start) to the calls from number `first` to before `last` (from 0), and of these to `share`, drawn by the seed.
    `retry_after` is what the header says: a number of seconds, `"date"` for the date at which the fault ends, or None.
    `shared` says in a header that the limit is not the model's own. `body` replaces the text of the error; `{key}` in
    it becomes the API key that came with the call.
    """

    kind: FaultKind = "status"
    status: int = 429
    after: int = 0
    until: int | None = None
    first: int = 0
    last: int | None = None
    share: float = 1.0
    retry_after: float | Literal["date"] | None = None
    shared: bool = False
    body: str = ""

    def applies(self, call: int, since_start: int, draw: float) -> bool:
        """Whether it hits this call; `draw` is the call's own random number in [0, 1)."""
        in_time = self.after <= since_start and (self.until is None or since_start < self.until)
        return in_time and self.first <= call and (self.last is None or call < self.last) and draw < self.share


class ModelScript(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How one model behaves. `answers` are given in turn, for ever; without them seed and prompt give the answer.

    A call beyond `max_in_flight` or a rate is answered with 429. `latency` is the time to the whole answer; a stream's
    parts are spread over it. Without `usage` no answer says how many tokens it took.
    """

    latency: int = 20
    jitter: int = 0
    max_in_flight: int | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    faults: tuple[Fault, ...] = ()
    answers: tuple[str, ...] = ()
    usage: bool = True


class Script(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole endpoint. A model that is not in `models` does as `default`; with None it is not there (404).

    `api_keys` are those that are let in; without any all are. `idle_close` closes a connection that was idle for so
    long; with `drops_reused` the second call on any connection is dropped unread, as a server does that has just closed
    it. With `tells_limits` each answer has `x-ratelimit-*` headers. Rates here are those of all models together.
    """

    seed: int = 1
    api_keys: tuple[str, ...] = ()
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    idle_close: int = 75_000
    drops_reused: bool = False
    tells_limits: bool = False
    default: ModelScript | None = ModelScript()
    models: Mapping[str, ModelScript] = {}

    @classmethod
    def parse(cls, text: str | bytes) -> Script:
        """A script from its JSON text. Raises `msgspec.ValidationError`, which names the place."""
        return msgspec.json.decode(text, type=cls)

    def model(self, name: str) -> ModelScript | None:
        """How the model of this name behaves; None if it is not there."""
        return self.models.get(name, self.default)

    def draw(self, model: str, call: int) -> float:
        """The random number in [0, 1) of a model's n-th call."""
        return random.Random(f"{self.seed}/{model}/{call}").random()
