"""What is over leaves nothing behind in an engine that goes on: its containers are as full after many tasks of each
kind, ended in each way, as they were after a few.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from passloop.drivers.calls.caller import Answer, CallOrder, Settled
from passloop.drivers.calls.driver import CallDriver
from passloop.drivers.forbidden import MOST, Forbidden
from passloop.drivers.identity import own_process
from passloop.engine.engine import Engine
from passloop.engine.leasing import LeaseAsk, ask_for_lease, give_back_lease
from passloop.engine.settings import EngineSettings
from passloop.kernel.events import Cancelled, Held, Submitted
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import NewTask
from passloop.web.following import Followed, follow_log
from passloop.web.host import open_host
from passloop.web.stream import event_stream, event_text
from tests.support.builders import ask, spec_of
from tests.support.containers import held_by
from tests.support.warm import ROOT, call_of

SETTINGS = EngineSettings(
    environ={**os.environ, "PASSLOOP_CPUS": "4", "PASSLOOP_VIRTUAL_GPUS": "2x80GiB", "PASSLOOP_PAGE": "off"}
)
BOUNDED = {
    ".drivers[]._processes._environments": 64,
    ".drivers[]._processes._shims": 64,
    ".drivers[]._shims": 64,
    ".turns.machine.state.durations": 100_000,
}
"""What is kept on purpose, by the beginning of its way: the environments sent last, shims that rest, and how long tasks
took, of which each class keeps the last 1,000.
"""


class Settling:
    """Settles each call without an endpoint."""

    async def prepare(self, order: CallOrder) -> Settled:
        return Settled("1")

    async def accept(self, order: CallOrder, answer: Answer) -> Settled:
        raise AssertionError("nothing was asked")


async def submit(engine: Engine, count: int, payload: dict[str, Any], **spec: Any) -> Sequence[TaskId]:
    """Submit so many equal tasks of one CPU."""
    one, text = spec_of(ask(cpus=1), grace=100, **spec), json.dumps({"cwd": str(ROOT), "environment": "e", **payload})
    tasks = tuple(NewTask(spec=one, payload=text, index=index) for index in range(count))
    environment = ("e", json.dumps({"PATH": os.environ["PATH"]}))
    return (await engine.submit(Submitted("many", tasks), environments=(environment,))).tasks


async def work(engine: Engine) -> None:
    """Tasks of each kind, done, failed and cancelled while they wait and run; with leases, waits and followers."""
    ended = [*await submit(engine, 10, {"command": ["true"]}), *await submit(engine, 3, {"command": ["false"]})]
    ended += await submit(engine, 150, {"call": call_of("nothing")}, driver="workers", warm_key="k")
    ended += await submit(engine, 100, {"caller": "settling"}, driver="calls")
    stopped = await submit(engine, 12, {"command": ["sleep", "60"]})
    lease = await ask_for_lease(engine, LeaseAsk(own_process().pid, own_process().ticks, "test", gpus=1))
    assert await engine.wait_started(stopped[0])
    assert not await engine.wait_final([stopped[0]], timeout_ms=1)
    path = engine.home.runs / "1" / "1" / "1" / "stdout.log"
    async for _ in follow_log(Followed(engine, int(ended[0]), path, is_latest=True), 0):
        pass
    events = event_stream(engine, None, event_text)
    await anext(events)
    await events.aclose()  # type: ignore[attr-defined]
    await engine.send(Cancelled(tasks=tuple(stopped)))
    await give_back_lease(engine, lease)
    assert await engine.wait_final([*ended, *stopped, lease], timeout_ms=40_000)
    async with asyncio.timeout(20):
        await until(engine, lambda: not engine.attempts.workers() and not len(engine.attempts))
    for _ in range(2):  # what is final is forgotten by the turn after
        await engine.send(Held(()))


async def until(engine: Engine, condition: Callable[[], bool]) -> None:
    """Wait until this is so; it is looked at after each turn."""
    rows = engine.journal_events(engine.feed.last)
    while not condition():
        await anext(rows)
    await rows.aclose()  # type: ignore[attr-defined]


def is_bounded(way: str, count: int) -> bool:
    """Whether this is kept on purpose, and no more of it than there may be."""
    return any(way.startswith(begin) and count <= most for begin, most in BOUNDED.items())


async def test_an_engine_holds_no_more_after_many_tasks_than_after_a_few(tmp_path: Path) -> None:
    async with open_host(tmp_path / "home", SETTINGS) as host:
        calls = host.engine.drivers["calls"]
        assert isinstance(calls, CallDriver)
        calls.register("settling", Settling())
        await work(host.engine)
        few = held_by(host.engine)
        for _ in range(3):
            await work(host.engine)
        many = held_by(host.engine)
    grown = Counter(many) - few
    assert {way: (few[way], many[way]) for way in grown if not is_bounded(way, many[way])} == {}


def test_stops_that_raced_an_end_are_forgotten_when_there_are_many() -> None:
    forbidden = Forbidden()
    for attempt in range(MOST + 5):
        forbidden.add(attempt, "cancelled")
    assert (len(forbidden), 4 in forbidden, 5 in forbidden, MOST + 4 in forbidden) == (MOST, False, True, True)
