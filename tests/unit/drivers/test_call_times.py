"""When a call tells what: its start, its end, its time limit, by a clock of the test's own."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from passloop.clock import FakeClock
from passloop.drivers.calls.caller import Answer, CallOrder, CallRequest, Settled
from passloop.drivers.calls.client import Reply
from passloop.drivers.calls.driver import SHORT_MS, CallDriver
from passloop.drivers.calls.endpoints import Endpoint, Model
from passloop.kernel.events import Event, Exited, Started
from passloop.kernel.tasks import OutcomeKind
from tests.simulation.loop import SimulatedLoop
from tests.support.attempts import order_for

MODEL = Model(Endpoint("http://127.0.0.1:1/v1"), "m")


class Play:
    """A driver whose app takes `prepares` ms to ask and whose endpoint `answers` ms to answer. `told` has each event
    with its time since the start.
    """

    def __init__(self, home: Path) -> None:
        self.clock = FakeClock()
        self.loop = SimulatedLoop(self.clock, random.Random(0))
        self.home = home
        self.prepares = self.answers = 0
        self.told: list[tuple[int, Event]] = []
        self.began = self.clock.now()
        self.driver = CallDriver(self.clock, connect=self.connect)
        self.driver.register("plain", self)

    async def connect(self) -> Play:
        return self

    async def prepare(self, order: CallOrder) -> CallRequest:
        await self._pass(self.prepares)
        return CallRequest(MODEL, {"prompt": "x"}, key="cell")

    async def call(self, request: CallRequest, headers: Mapping[str, str]) -> Reply:
        await self._pass(self.answers)
        return Reply(200, {}, Answer("lamp"))

    async def accept(self, order: CallOrder, answer: Answer) -> Settled:
        return Settled('"lamp"')

    async def close(self) -> None:
        """There is nothing to close."""

    def run(self, *, until: int, limit: int | None = None) -> list[tuple[int, str]]:
        """Launch one call and let so many ms pass; what was told, with its time."""
        self.loop.run_until_complete(self._run(until, limit))
        assert self.loop.failure is None
        return [(at, type(event).__name__) for at, event in self.told]

    async def _run(self, until: int, limit: int | None) -> None:
        await self.driver.start(lambda event: self.told.append((self.clock.now() - self.began, event)))
        self.driver.launch(order_for(self.home, 1, [], payload={"caller": "plain"}, time_limit=limit))
        await self._pass(until)
        await self.driver.stop()

    async def _pass(self, millis: int) -> None:
        over = asyncio.Event()
        self.loop.call_after(millis, over.set)
        await over.wait()


@pytest.fixture
def play(tmp_path: Path) -> Iterator[Play]:
    made = Play(tmp_path)
    yield made
    made.loop.close()


def test_a_short_call_tells_its_start_with_its_end_and_nothing_later(play: Play) -> None:
    play.answers = 100
    assert play.run(until=2_000, limit=1_000) == [(100, "Started"), (100, "Exited")]
    assert [event.ago for _, event in play.told if isinstance(event, Started)] == [100]


def test_a_long_call_tells_its_start_while_it_goes_on(play: Play) -> None:
    play.answers = 600
    assert play.run(until=2_000) == [(SHORT_MS, "Started"), (600, "Exited")]


def test_a_start_counts_from_when_the_call_was_sent(play: Play) -> None:
    play.prepares, play.answers = 400, 600
    assert play.run(until=2_000) == [(400 + SHORT_MS, "Started"), (1_000, "Exited")]
    assert [event.ago for _, event in play.told if isinstance(event, Started)] == [SHORT_MS]


@pytest.mark.parametrize("limit", [SHORT_MS - 50, SHORT_MS, 1_000])
def test_a_call_ends_at_its_time_limit_whatever_else_is_due(play: Play, limit: int) -> None:
    play.answers = 5_000
    assert play.run(until=6_000, limit=limit) == [(min(limit, SHORT_MS), "Started"), (limit, "Exited")]
    kinds = [event.outcome.kind for _, event in play.told if isinstance(event, Exited)]
    assert kinds == [OutcomeKind.TIMEOUT]


def test_a_call_that_is_never_asked_ends_at_its_time_limit_without_a_start(play: Play) -> None:
    play.prepares = 5_000
    assert play.run(until=6_000, limit=300) == [(300, "Exited")]
