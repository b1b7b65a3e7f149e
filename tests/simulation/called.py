"""An endpoint on the simulated clock, and the judge of whoever calls it: exact windows, 429 with Retry-After, loss.

What was sent arrives, even if its sender dies meanwhile. It judges by what it said itself and by what it counts; it
knows nothing of pools.
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

__all__ = ["CalledEndpoint"]

HOUR = 3_600_000
ON_THE_WAY = (0, 0, 1, 5, 30, 200, 700)
LATENCIES = (5, 20, 20, 100, 1_500, 15_000)


class CalledEndpoint:
    """Plays by a seed. `over` counts calls beyond a window, `early` those of a cell that was told to wait longer."""

    def __init__(self, loop: SimulatedLoop, chance: random.Random, *, requests: int, tokens: int) -> None:
        self._loop = loop
        self._chance = chance
        self._requests = RateWindow(requests)
        self._tokens = RateWindow(tokens)
        self.arrived = self.answered = self.refused = self.over = self.early = 0
        self.told: dict[str, tuple[int, int]] = {}
        self._closed_until = 0

    def close_for(self, millis: int) -> None:
        """Answer 429 with Retry-After until then."""
        self._closed_until = max(self._closed_until, self._loop.clock.now() + millis)

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
        used = int(request.body["max_tokens"])
        if not (self._requests.take(1, now) and self._tokens.take(used, now)):
            self.over += 1
        if now < self._closed_until:
            self.refused += 1
            seconds = math.ceil((self._closed_until - now) / 1_000)
            reply, wait = Reply(429, {"retry-after": str(seconds)}, body=b"too many"), seconds * 1_000
        else:
            self.answered += 1
            reply, wait = Reply(200, {}, Answer("yes", "stop", Usage(used // 2, used - used // 2))), 0
        self._loop.call_after(self._chance.choice(LATENCIES), lambda: self._deliver(key, reply, wait, answer))

    def _deliver(self, key: str, reply: Reply, wait: int, answer: asyncio.Future[Reply]) -> None:
        """The answer comes; who is dead does not hear it. A wait counts from then."""
        if answer.done():
            return
        answer.set_result(reply)
        if wait:
            now = self._loop.clock.now()
            self.told[key] = (now, now + min(wait, HOUR))
