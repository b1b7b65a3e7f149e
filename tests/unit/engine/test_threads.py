"""Threads beside the loop: what goes there comes back, in order, once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from passloop.engine.threads import NoThread, Threads, begun_executor
from tests.support.wants import no_thread_begins


@pytest.fixture
def one() -> Iterator[Threads]:
    threads = Threads(1, name="one")
    yield threads
    threads.shutdown()


def fail() -> None:
    raise LookupError("nothing there")


async def test_what_a_piece_returns_comes_back(one: Threads) -> None:
    found = await asyncio.get_running_loop().run_in_executor(one, threading.current_thread)
    assert found.name == "one_0"


async def test_what_a_piece_raises_comes_back_and_the_thread_goes_on(one: Threads) -> None:
    with pytest.raises(LookupError, match="nothing there"):
        await one.submit(fail)
    assert await one.submit(int, "3") == 3


async def test_one_thread_does_its_pieces_in_the_order_they_came(one: Threads) -> None:
    done: list[int] = []
    one.post(done.append, 0)
    pieces = [one.submit(done.append, number) for number in range(1, 5)]
    await asyncio.gather(*pieces)
    assert done == [0, 1, 2, 3, 4]


async def test_who_gave_up_waiting_hears_nothing_and_the_piece_is_done(one: Threads) -> None:
    done: list[int] = []
    wrong: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: wrong.append(context))
    one.submit(done.append, 1).cancel()
    await one.submit(done.append, 2)
    assert (done, wrong) == ([1, 2], [])


async def test_pieces_that_wait_for_each_other_have_a_thread_each() -> None:
    threads = Threads(3, name="three")
    meeting = threading.Barrier(3, timeout=10)
    places = await asyncio.gather(*(threads.submit(meeting.wait) for _ in range(3)))
    assert sorted(places) == [0, 1, 2]
    threads.shutdown()


async def test_pieces_one_after_the_other_need_one_thread() -> None:
    threads = Threads(3, name="three")
    names = {(await threads.submit(threading.current_thread)).name for _ in range(5)}
    assert names == {"three_0"}
    threads.shutdown()


async def test_what_was_asked_for_is_done_before_the_threads_end() -> None:
    threads = Threads(1, name="one")
    done: list[int] = []
    gate = threading.Event()
    threads.post(gate.wait, 10)
    threads.post(done.append, 1)
    gate.set()
    threads.shutdown()
    assert done == [1]
    with pytest.raises(RuntimeError, match="one has ended"):
        threads.post(done.append, 2)


def test_a_result_that_comes_after_its_loop_is_dropped() -> None:
    threads = Threads(1, name="one")
    gate = threading.Event()

    async def leave() -> None:
        threads.submit(gate.wait, 10)

    asyncio.run(leave())
    gate.set()
    threads.shutdown()
    assert all(each.name != "one_0" for each in threading.enumerate())


async def test_a_thread_that_could_not_begin_is_tried_again_and_its_piece_is_not_done() -> None:
    """Were it counted, no piece would ever be done, and who waits for the end of the threads would be told of it."""
    threads, done = Threads(1, name="one"), list[int]()
    with no_thread_begins():
        with pytest.raises(NoThread, match="one: can't start new thread"):
            threads.submit(done.append, 1)
        with pytest.raises(NoThread):
            threads.post(done.append, 2)
    async with asyncio.timeout(10):
        await threads.submit(done.append, 3)
    threads.shutdown()
    assert done == [3]


async def test_pieces_are_done_by_those_that_there_are_while_no_other_can_begin() -> None:
    threads = Threads(2, name="two")
    gate = threading.Event()
    first = threads.submit(gate.wait, 10)
    with no_thread_begins():
        second = threads.submit(threading.current_thread)
    gate.set()
    assert [await first, (await second).name] == [True, "two_0"]
    threads.shutdown()


async def test_pieces_beside_the_loop_find_a_thread_each_when_none_can_begin() -> None:
    """The library begins them one by one; the error of one that cannot begin would end the engine."""
    asyncio.get_running_loop().set_default_executor(begun_executor(3))
    meeting = threading.Barrier(3, timeout=10)
    with no_thread_begins():
        places = await asyncio.gather(*(asyncio.to_thread(meeting.wait) for _ in range(3)))
        assert sorted(places) == [0, 1, 2]
        assert await asyncio.gather(*(asyncio.to_thread(int, "3") for _ in range(5))) == [3] * 5


async def test_there_are_fewer_threads_beside_the_loop_where_no_more_can_begin() -> None:
    """Two of three, whose executor is given up, and two of two."""
    with no_thread_begins(but=4):
        asyncio.get_running_loop().set_default_executor(begun_executor(3))
    with no_thread_begins():
        assert await asyncio.gather(*(asyncio.to_thread(int, "3") for _ in range(5))) == [3] * 5
        with pytest.raises(NoThread):
            begun_executor(3)
