"""An endpoint on the simulated clock, and the judge of whoever calls it: exact windows, Retry-After, loss.

What was sent arrives, even if its sender dies meanwhile. It judges by what it said itself and by what it counts: each
cell, and the pool that it refused for, must wait for as long as it was told, an hour at most.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Mapping

from passloop.drivers.calls.caller import Answer, CallRequest, Usage
from passloop.drivers.calls.client import Reply
from passloop.testing.windows import RateWindow

from .loop import SimulatedLoop
from .told import Heard, ToldToWait

__all__ = ["CalledEndpoint"]

HOUR = 3_600_000
ON_THE_WAY = (0, 0, 1, 5, 30, 200, 700)
LATENCIES = (5, 20, 20, 100, 1_500, 15_000)
SAYS = 0.8
"""How many of its refusals say how long to wait."""


class CalledEndpoint:
    """Plays by a seed. `over` counts calls beyond a window, `early` those of a cell that was told to wait longer.

    `hasty` says of each call that came though the pool was told to wait longer when that was, and for what.
    """

    def __init__(self, loop: SimulatedLoop, chance: random.Random, *, requests: int, tokens: int) -> None:
        self._loop = loop
        self._chance = chance
        self._requests = RateWindow(requests)
        self._tokens = RateWindow(tokens)
        self.arrived = self.answered = self.refused = self.over = self.early = self.silent = 0
        self.hasty: list[str] = []
        self.told: dict[str, tuple[int, int]] = {}
        self.pool = ToldToWait()
        self._shares = chance.random() < 0.3
        self._status = 429
        self._closed_until = 0

    def close_for(self, millis: int, *, status: int = 429) -> None:
        """Refuse until then, with Retry-After. One that says that its limit is shared says 429."""
        self._closed_until = max(self._closed_until, self._loop.clock.now() + millis)
        self._status = 429 if self._shares else status

    def forget(self, key: str) -> None:
        """What a cell was told never reached the store, because the engine died."""
        self.told.pop(key, None)

    async def call(self, request: CallRequest, headers: Mapping[str, str]) -> Reply:
        """One call, as the driver's client."""
        answer: asyncio.Future[Reply] = self._loop.create_future()
        sent = self._loop.clock.now()
        arrive = lambda: self._arrive(request, headers["Idempotency-Key"], sent, answer)  # noqa: E731
        self._loop.call_after(self._chance.choice(ON_THE_WAY), arrive)
        return await answer

    async def close(self) -> None:
        """Nothing to close."""

    def _arrive(self, request: CallRequest, key: str, sent: int, answer: asyncio.Future[Reply]) -> None:
        now = self._loop.clock.now()
        self.arrived += 1
        since, until = self.told.get(key, (0, 0))
        if since <= sent < until:
            self.early += 1
        if (then := self.pool.waits_for(sent)) is not None:
            self.hasty.append(f"{key} was sent at {sent}, {then - sent} ms too soon")
        used = int(request.body["max_tokens"])
        if not (self._requests.take(1, now) and self._tokens.take(used, now)):
            self.over += 1
        if now < self._closed_until:
            self.refused += 1
            seconds = math.ceil((self._closed_until - now) / 1_000) if self._chance.random() < SAYS else 0
            self.silent += not seconds
            reply, wait = self._refusal(seconds), seconds * 1_000
        else:
            self.answered += 1
            reply, wait = Reply(200, {}, Answer("yes", "stop", Usage(used // 2, used - used // 2))), 0
        self._loop.call_after(self._chance.choice(LATENCIES), lambda: self._deliver(key, sent, reply, wait, answer))

    def _refusal(self, seconds: int) -> Reply:
        headers = {"x-ratelimit-scope": "account"} if self._shares else {}
        if seconds:
            headers["retry-after"] = str(seconds)
        return Reply(self._status, headers, body=b"too many")

    def _deliver(self, key: str, sent: int, reply: Reply, wait: int, answer: asyncio.Future[Reply]) -> None:
        """The answer comes; who is dead does not hear it. A wait counts from then."""
        if answer.done():
            return
        answer.set_result(reply)
        now = self._loop.clock.now()
        self.pool.hear(Heard(key, sent, now, reply.answer is None, wait))
        if wait:
            self.told[key] = (now, now + min(wait, HOUR))
