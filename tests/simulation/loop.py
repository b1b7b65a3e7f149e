"""An event loop on which no time passes by itself, and the lives of the engines on it.

When nothing is left to do the clock is moved to what is due next, so that hours cost nothing. What the engine does off
the loop (commits, reads, looks at devices) is done on it, after a delay by chance and in the order of each thread, so
that one seed is one history. A `Life` is one engine's process: it ends at a boundary (before or after a commit, a call
of a driver, any work off the loop) or from outside; from then on nothing of it does anything.
"""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import math
import random
import sys
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import Any

from passloop import crashpoints
from passloop.clock import FakeClock

__all__ = ["Call", "Killed", "Life", "SimulatedLoop", "living", "watched_crashpoints"]

DELAYS = (0, 0, 0, 0, 1, 1, 6)
"""How long (ms) work off the loop takes: a read, or the fsync of a commit."""
LOOKS = (*DELAYS, 250, 250)
"""How long (ms) a look at devices takes."""


class Killed(BaseException):
    """The engine dies here; nothing in it may catch this."""


class Life:
    """One engine's process, from its start to its death. `killed_at` is the boundary at which it died, if at one."""

    __slots__ = ("_on_death", "dead", "dies_in", "killed_at", "tasks")

    def __init__(self, on_death: Callable[[], None]) -> None:
        self.dead = False
        self.dies_in: int | None = None
        self.killed_at = ""
        self.tasks: list[asyncio.Task[Any]] = []
        self._on_death = on_death

    def reach(self, boundary: str) -> None:
        """A boundary is reached: die here, if it is the one. What is dead already goes no further."""
        if self.dead:
            raise Killed
        if self.dies_in is not None:
            self.dies_in -= 1
            if self.dies_in <= 0:
                self.killed_at = boundary
                self.end()
                raise Killed

    def end(self) -> None:
        """Dead from now on."""
        if not self.dead:
            self.dead = True
            self._on_death()


living: contextvars.ContextVar[Life | None] = contextvars.ContextVar("living", default=None)
"""The life that the code under way belongs to; none for the world outside."""


def reach(boundary: str) -> None:
    """The code under way reaches a boundary."""
    life = living.get()
    if life is not None:
        life.reach(boundary)


@contextmanager
def watched_crashpoints() -> Iterator[None]:
    """Let every crash point of the code be a boundary of the life that reaches it, until the block ends."""
    real = crashpoints.crashpoint
    modules = [module for name, module in list(sys.modules.items()) if name.startswith("passloop")]
    watched = [module for module in modules if getattr(module, "crashpoint", None) is real]
    for module in watched:
        module.crashpoint = reach  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in watched:
            module.crashpoint = real  # type: ignore[attr-defined]


class Call:
    """Something to call, at once or at a time of the loop in seconds; a lean `asyncio.TimerHandle`."""

    __slots__ = ("args", "at", "callback", "context", "is_cancelled")

    def __init__(self, callback: Callable[..., object], args: tuple[Any, ...], context: contextvars.Context | None):
        self.callback = callback
        self.args = args
        self.context = contextvars.copy_context() if context is None else context
        self.is_cancelled = False
        self.at = 0.0

    def when(self) -> float:
        """The time of the loop at which it is due."""
        return self.at

    def cancel(self) -> None:
        """It is not called any more."""
        self.is_cancelled = True

    def cancelled(self) -> bool:
        """Whether it was cancelled."""
        return self.is_cancelled


class SimulatedLoop(asyncio.BaseEventLoop):
    """See above. `failure` is the first error that nobody caught.

    It has a queue and timers of its own, which are cheaper than those of asyncio: a history is thousands of calls. What
    it gives for a call is therefore no `asyncio.Handle`, though it does what one does.
    """

    def __init__(self, clock: FakeClock, chance: random.Random) -> None:
        super().__init__()
        self.clock = clock
        self.failure: BaseException | None = None
        self._chance = chance
        self._soon: deque[Call] = deque()
        self._timers: list[tuple[int, int, Call]] = []
        self._numbers = itertools.count()
        self._busy_until: dict[object, int] = {}
        self.set_task_factory(_make_task)
        self.set_exception_handler(self._note_failure)

    def time(self) -> float:
        """The clock's time in seconds."""
        return self.clock.now() / 1000

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Call:
        """Call back next, after what is there already."""
        call = Call(callback, args, context)
        self._soon.append(call)
        return call

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Call:
        """Call back in so many seconds."""
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., object], *args: Any, context: contextvars.Context | None = None
    ) -> Call:
        """Call back at this time of the loop, in seconds."""
        call = self._call_at(math.ceil(when * 1000 - 0.01), Call(callback, args, context))
        call.at = when
        return call

    def call_after(self, millis: int, callback: Callable[[], object]) -> Call:
        """Call back in so many ms."""
        return self._call_at(self.clock.now() + millis, Call(callback, (), None))

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """Do the work on the loop, after a delay; that of one thread (a writer's) in its order."""
        future = self.create_future()
        now = self.clock.now()
        at = now + self._chance.choice(DELAYS if executor is not None else LOOKS)
        if executor is not None:
            at = max(at, self._busy_until.get(executor, 0))
            self._busy_until[executor] = at + 1 if at > now else at
        if at <= now:
            self.call_soon(_do, future, func, args)
        else:
            self._call_at(at, Call(_do, (future, func, args), None))
        return future

    def _call_at(self, at: int, call: Call) -> Call:
        heappush(self._timers, (at, next(self._numbers), call))
        return call

    def _run_once(self) -> None:
        """Make the calls that are due. If none is, let time pass to the next."""
        soon, timers = self._soon, self._timers
        if not soon and not self._stopping:  # type: ignore[attr-defined]
            self._let_time_pass()
        now = self.clock.now()
        while timers and timers[0][0] <= now:
            soon.append(heappop(timers)[2])
        for _ in range(len(soon)):
            call = soon.popleft()
            if call.is_cancelled:
                continue
            try:
                call.context.run(call.callback, *call.args)
            except (SystemExit, KeyboardInterrupt):
                raise
            except BaseException as error:
                self.call_exception_handler({"message": f"in {call.callback}", "exception": error})

    def _let_time_pass(self) -> None:
        timers = self._timers
        while timers and timers[0][2].is_cancelled:
            heappop(timers)
        if not timers:
            raise AssertionError("nothing will ever happen again")
        self.clock.advance(max(0, timers[0][0] - self.clock.now()))

    def _write_to_self(self) -> None:
        """There are no other threads."""

    def _note_failure(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if isinstance(error, Killed) or error is None or self.failure is not None:
            return
        self.failure = error


def _make_task(
    loop: asyncio.AbstractEventLoop, work: Coroutine[Any, Any, Any], *, context: contextvars.Context | None = None
) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context)
    life = living.get() if context is None else context.get(living)
    if life is not None:
        life.tasks.append(task)
    return task


def _do(future: asyncio.Future[Any], func: Callable[..., Any], args: tuple[Any, ...]) -> None:
    """Work off the loop; a dead engine does none, and one that dies in it learns nothing of it."""
    try:
        reach("off the loop, before")
        result = func(*args)
        reach("off the loop, after")
    except Killed:
        return
    except Exception as error:
        if not future.cancelled():
            future.set_exception(error)
        return
    if not future.cancelled():
        future.set_result(result)
