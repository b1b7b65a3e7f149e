"""The small parts: alarm, inbox, roles, quiet."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from passloop.clock import FakeClock, SystemClock
from passloop.engine.alarm import LoopAlarm
from passloop.engine.feed import Feed
from passloop.engine.inbox import Entry, Inbox
from passloop.engine.lifecycle import Roles
from passloop.engine.waiting import Waiting
from passloop.kernel.events import Held, Started
from passloop.kernel.ids import AttemptId, TaskId
from passloop.kernel.tasks import FINAL_STATES

HELD = Held(())
STARTED = Started(AttemptId(1), 1)


async def test_an_alarm_rings_once_and_never_early() -> None:
    clock = SystemClock()
    alarm = LoopAlarm(clock)
    rung: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    at = clock.now() + 15
    alarm.set(at, lambda: rung.set_result(clock.now()))
    assert await asyncio.wait_for(rung, 10) >= at


async def test_an_alarm_set_anew_forgets_what_was_set() -> None:
    alarm = LoopAlarm(FakeClock())
    rung: list[str] = []
    done = asyncio.Event()
    alarm.set(0, lambda: rung.append("first"))
    alarm.set(0, lambda: (rung.append("second"), done.set()))
    await asyncio.wait_for(done.wait(), 10)
    alarm.set(None, lambda: rung.append("never"))
    assert rung == ["second"]


async def test_the_inbox_gives_all_in_order_and_is_empty_then() -> None:
    inbox = Inbox()
    inbox.put(HELD)
    answer = inbox.ask(HELD, environments=(("e", "{}"),))
    assert inbox.wake.is_set()
    assert inbox.take() == [Entry(HELD), Entry(HELD, answer, (("e", "{}"),))]
    assert (len(inbox), inbox.wake.is_set()) == (0, False)


async def test_what_is_put_back_comes_first() -> None:
    inbox = Inbox()
    inbox.put(HELD)
    inbox.put_back([Entry(STARTED)])
    assert [entry.event for entry in inbox.take()] == [STARTED, HELD]


async def test_a_start_wakes_nobody_until_its_linger_is_over() -> None:
    inbox = Inbox(linger_ms=5)
    inbox.put(STARTED)
    assert not inbox.wake.is_set()
    await asyncio.wait_for(inbox.wake.wait(), 10)
    assert [entry.event for entry in inbox.take()] == [STARTED]


async def test_anything_else_takes_a_lingering_start_along_at_once() -> None:
    inbox = Inbox(linger_ms=60_000)
    inbox.put(STARTED)
    inbox.put(HELD)
    assert inbox.wake.is_set()
    assert len(inbox.take()) == 2
    inbox.put(STARTED)
    assert not inbox.wake.is_set()
    inbox.take()


async def test_a_turn_for_another_reason_leaves_a_start_lingering() -> None:
    inbox = Inbox(linger_ms=60_000)
    inbox.put(STARTED)
    inbox.wake.set()
    assert not inbox.take()
    assert not inbox.wake.is_set()
    inbox.hurry()
    assert [entry.event for entry in inbox.take()] == [STARTED]


async def test_what_is_put_back_lingers_no_longer() -> None:
    inbox = Inbox(linger_ms=60_000)
    inbox.put(STARTED)
    inbox.put_back([Entry(HELD)])
    assert [entry.event for entry in inbox.take()] == [HELD, STARTED]


class Spoken:
    """A role that notes what is done to it."""

    def __init__(self, name: str, notes: list[str], *, breaks: bool = False) -> None:
        self.name = name
        self.notes = notes
        self.breaks = breaks

    async def start(self) -> None:
        self.notes.append(f"{self.name} starts")

    async def stop(self) -> None:
        self.notes.append(f"{self.name} stops")
        if self.breaks:
            raise RuntimeError(f"{self.name} broke")


async def test_roles_stop_in_reverse_and_each_though_one_breaks() -> None:
    notes: list[str] = []
    roles = Roles()
    for name, breaks in (("a", False), ("b", True), ("c", False)):
        await roles.start(Spoken(name, notes, breaks=breaks))
    with pytest.raises(RuntimeError, match="b broke"):
        await roles.stop()
    assert notes == ["a starts", "b starts", "c starts", "c stops", "b stops", "a stops"]


async def test_a_wait_that_is_given_up_leaves_nothing_behind() -> None:
    waiting = Waiting(FINAL_STATES)
    one = waiting.expect([TaskId(1), TaskId(2)])
    other = waiting.expect([TaskId(2)])
    waiting.give_up(one)
    assert len(waiting) == 1
    waiting.note_there([TaskId(2), TaskId(9)])
    assert other.done.done()
    assert len(waiting) == 0


async def test_a_wait_for_nothing_is_over_at_once() -> None:
    assert Waiting(FINAL_STATES).expect([]).done.done()


async def test_who_hears_marks_is_told_the_last_one_when_the_engine_closes() -> None:
    feed = Feed(None, 0)  # type: ignore[arg-type]
    marks = feed.marks(0, pause=3_600)
    feed.note(1)
    assert await anext(marks) == 1
    rest = asyncio.ensure_future(_all(marks))
    await asyncio.sleep(0)
    feed.note(2)
    feed.close()
    assert await asyncio.wait_for(rest, 10) == [2]


async def _all(marks: AsyncIterator[int]) -> list[int]:
    return [mark async for mark in marks]
