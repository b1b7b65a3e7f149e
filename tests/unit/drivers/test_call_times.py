"""When a call tells what: its start, its end, its time limit, by a clock of the test's own."""

from __future__ import annotations

import asyncio
import errno
import random
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from passloop.clock import FakeClock
from passloop.drivers.calls.caller import Answer, CallOrder, CallRequest, Settled
from passloop.drivers.calls.client import Reply
from passloop.drivers.calls.driver import SHORT_MS, CallDriver
from passloop.drivers.calls.endpoints import Endpoint, Model
from passloop.drivers.calls.errors import Broken, NotSent
from passloop.drivers.descriptors import AGAIN_S
from passloop.kernel.events import Event, Exited, Started
from passloop.kernel.ids import AttemptId
from passloop.kernel.tasks import Outcome, OutcomeKind
from passloop.store.errors import StoreBusy, StoreFull, StoreOutOfFiles
from tests.simulation.loop import SimulatedLoop
from tests.support.attempts import order_for

MODEL = Model(Endpoint("http://127.0.0.1:1/v1"), "m")


class Play:
    """A driver whose app takes `prepares` ms to ask and `accepts` ms to judge, and whose endpoint takes `answers` ms.

    `told` has each event with its time since the start, `made` each step. `wants` are raised by the step of that name,
    one each time.
    """

    def __init__(self, home: Path) -> None:
        self.clock = FakeClock()
        self.loop = SimulatedLoop(self.clock, random.Random(0))
        self.home = home
        self.prepares = self.answers = self.accepts = 0
        self.wants: dict[str, list[Exception]] = {}
        self.made: list[str] = []
        self.told: list[tuple[int, Event]] = []
        self.began = self.clock.now()
        self.driver = CallDriver(self.clock, connect=self.connect)
        self.driver.register("plain", self)

    async def connect(self) -> Play:
        if self.wants.get("connect"):
            raise self.wants["connect"].pop()
        return self

    async def prepare(self, order: CallOrder) -> CallRequest:
        self._begin("prepare")
        await self._pass(self.prepares)
        return CallRequest(MODEL, {"prompt": "x"}, key="cell")

    async def call(self, request: CallRequest, headers: Mapping[str, str]) -> Reply:
        self._begin("call")
        await self._pass(self.answers)
        return Reply(200, {}, Answer("lamp"))

    async def accept(self, order: CallOrder, answer: Answer) -> Settled:
        self._begin("accept")
        await self._pass(self.accepts)
        return Settled(f'"{answer.text}"')

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

    def ended(self) -> Outcome:
        """How the call ended."""
        (outcome,) = [event.outcome for _, event in self.told if isinstance(event, Exited)]
        return outcome

    def _begin(self, step: str) -> None:
        self.made.append(step)
        if self.wants.get(step):
            raise self.wants[step].pop()

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


NO_DESCRIPTOR = OSError(errno.EMFILE, "Too many open files")
WANTS = {
    "descriptors": NO_DESCRIPTOR,
    "files": StoreOutOfFiles("it cannot be opened", hint="", number=errno.EMFILE),
    "disk": StoreFull("disk I/O error", hint=""),
    "busy": StoreBusy("locked", hint=""),
}
AGAIN_MS = round(AGAIN_S * 1000)


@pytest.mark.parametrize("want", WANTS.values(), ids=WANTS)
def test_a_want_that_passes_neither_fails_a_cell_nor_is_time_of_its_call(play: Play, want: Exception) -> None:
    play.wants["prepare"] = [want, want]
    play.prepares, play.answers = 100, 150
    assert play.run(until=5_000, limit=300) == [(2 * AGAIN_MS + 250, "Started"), (2 * AGAIN_MS + 250, "Exited")]
    assert play.made == ["prepare"] * 3 + ["call", "accept"]
    assert play.ended().kind is OutcomeKind.SUCCESS


def test_a_call_that_could_not_be_sent_for_want_of_a_descriptor_blames_nobody_and_is_sent_later(play: Play) -> None:
    play.wants["call"] = [NotSent("no descriptor"), NotSent("no descriptor")]
    play.answers = 150
    assert play.run(until=5_000, limit=300) == [(2 * AGAIN_MS + 150, "Started"), (2 * AGAIN_MS + 150, "Exited")]
    assert [event.ago for _, event in play.told if isinstance(event, Started)] == [150]
    assert play.made == ["prepare"] + ["call"] * 3 + ["accept"]
    assert (play.ended().kind, play.ended().pool) == (OutcomeKind.SUCCESS, None)


def test_the_limit_of_a_call_that_is_sent_later_holds(play: Play) -> None:
    play.wants["call"] = [NotSent("no descriptor")]
    play.answers = 5_000
    assert play.run(until=6_000, limit=300)[-1] == (AGAIN_MS + 300, "Exited")
    assert play.ended().kind is OutcomeKind.TIMEOUT


@pytest.mark.parametrize("want", WANTS.values(), ids=WANTS)
def test_an_answer_that_cannot_be_taken_now_is_kept_and_never_asked_for_again(play: Play, want: Exception) -> None:
    """It is paid for, so that no limit ends its call while it waits."""
    play.wants["accept"] = [want, want]
    play.answers, play.accepts = 100, 400
    assert play.run(until=5_000, limit=300) == [(100, "Started"), (2 * AGAIN_MS + 500, "Exited")]
    assert play.made == ["prepare", "call", "accept", "accept", "accept"]
    assert [event.result for _, event in play.told if isinstance(event, Exited)] == ['"lamp"']


def broken_by_want() -> Broken:
    """A call that was sent, and broke for want of memory."""
    broken = Broken("the connection broke")
    broken.__context__ = OSError(errno.ENOMEM, "Cannot allocate memory")
    return broken


@pytest.mark.parametrize("error", [broken_by_want(), NO_DESCRIPTOR])
def test_a_call_that_may_have_been_sent_is_not_sent_again_whatever_broke_it(play: Play, error: Exception) -> None:
    play.wants["call"] = [error]
    play.run(until=5_000)
    assert play.made == ["prepare", "call"]
    assert play.ended().kind is OutcomeKind.FAILURE


@pytest.mark.parametrize(("none_left", "kind"), [(True, OutcomeKind.SUCCESS), (False, OutcomeKind.FAILURE)])
def test_a_library_that_cannot_be_opened_for_want_of_descriptors_is_not_called_missing(
    play: Play, none_left: bool, kind: OutcomeKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error does not tell the cause: a shared object that cannot be opened."""
    monkeypatch.setattr("passloop.drivers.descriptors.none_left", lambda: none_left)
    play.wants["connect"] = [ImportError("http.so: cannot open shared object file: Too many open files")]
    play.run(until=5_000)
    assert play.ended().kind is kind


@pytest.mark.parametrize("step", ["prepare", "accept"])
def test_a_call_that_waits_for_a_want_to_pass_can_be_stopped(play: Play, step: str) -> None:
    play.wants[step] = [NO_DESCRIPTOR] * 9
    play.loop.call_after(500, lambda: play.driver.halt(AttemptId(1), 1, grace=0, reason="cancelled"))
    assert play.run(until=5_000)[-1] == (500, "Exited")
    assert play.ended().kind is OutcomeKind.CANCELLED
