"""Threads that do work for the loop, each one piece after the other. Owns the way of a piece there and of its result
back, and nothing of what it does.

A turn is one such trip, so the trip is made of as little as there is: a queue, a future of the loop, and one call back.
The library's own executors give each piece a second future with a lock and a condition, which costs as much as a short
commit. A thread that the system does not let begin is none: it is not counted, and another one does its piece.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, NamedTuple

from passloop.passing import Passing

__all__ = ["MOST_OF_LOOP", "NoThread", "Threads", "begun_executor"]

MOST_OF_LOOP = min(32, (os.cpu_count() or 1) + 4)
"""Threads for what the loop's own pieces do: as many as the library would begin, one after the other."""


class NoThread(Passing):
    """The system lets no thread begin now, and there is none that could do the piece: it is not done."""


class _Piece(NamedTuple):
    """One call to make, and who waits for its result, if anybody does."""

    work: Callable[..., Any]
    args: tuple[Any, ...]
    future: asyncio.Future[Any] | None


class Threads(Executor):
    """At most `most` threads called `name`, begun as they are wanted. Loop thread only.

    `loop.run_in_executor` takes the futures that `submit` gives as they are: they are the loop's own, unlike those that
    an executor is declared to give.
    """

    def __init__(self, most: int, *, name: str) -> None:
        self._most = most
        self._name = name
        self._pieces: SimpleQueue[_Piece | None] = SimpleQueue()
        self._begun: list[threading.Thread] = []
        self._under_way = 0
        self._closed = False

    def submit(self, work: Callable[..., Any], /, *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Do it in a thread, and give the future of the running loop for what it returns or raises.

        Raises `NoThread`.
        """
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._put(_Piece(work, args, future), wanted=self._under_way + 1)
        self._under_way += 1
        return future

    def post(self, work: Callable[..., Any], /, *args: Any) -> None:
        """Do it in a thread; nobody hears what comes of it, and it must not raise. Raises `NoThread`."""
        self._put(_Piece(work, args, None), wanted=1)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Do what was asked for, then end the threads."""
        self._closed = True
        for _ in self._begun:
            self._pieces.put(None)
        for thread in self._begun if wait else ():
            thread.join()

    def _put(self, piece: _Piece, *, wanted: int) -> None:
        if self._closed:
            raise RuntimeError(f"{self._name} has ended")
        if len(self._begun) < min(wanted, self._most):
            self._begin_another()
        self._pieces.put(piece)

    def _begin_another(self) -> None:
        """Begin one more thread; where the system does not let it begin, the others do, if there are any."""
        thread = threading.Thread(target=self._work, name=f"{self._name}_{len(self._begun)}", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            if not self._begun:
                raise NoThread(f"{self._name}: {error}") from None
            return
        self._begun.append(thread)

    def _work(self) -> None:
        """Do pieces until there is no more to come."""
        while (piece := self._pieces.get()) is not None:
            result, error = _done(piece)
            if piece.future is not None:
                with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                    piece.future.get_loop().call_soon_threadsafe(self._tell, piece.future, result, error)
            del piece, result, error

    def _tell(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        """On the loop: a piece is done."""
        self._under_way -= 1
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def begun_executor(most: int = MOST_OF_LOOP) -> ThreadPoolExecutor:
    """An executor for `asyncio.to_thread` whose threads have all begun, so that it never wants one when the system lets
    none begin: that error ("can't start new thread") would be taken for one of the piece. Fewer than `most` where the
    system lets no more begin now; raises `NoThread` where it lets none.
    """
    while most:
        executor, gate, begun = ThreadPoolExecutor(most, thread_name_prefix="passloop-loop"), threading.Event(), 0
        try:
            while begun < most:
                executor.submit(gate.wait)
                begun += 1
        except RuntimeError:
            most = begun
            gate.set()
            executor.shutdown()
        else:
            gate.set()
            return executor
    raise NoThread("no thread can be begun")


def _done(piece: _Piece) -> tuple[Any, BaseException | None]:
    """Its result, or what it raised."""
    try:
        return piece.work(*piece.args), None
    except BaseException as error:
        return None, error
