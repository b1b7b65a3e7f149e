"""The same API for code without a loop of its own (scripts, notebooks): a loop in a thread, and calls that wait for it.

It adds nothing: each method is that of `Engine` or `Run`, awaited. An embedded engine works in that thread, so it goes
on while the caller computes.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncGenerator, Coroutine, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar, Unpack

from .commands import Command
from .engine import Engine, Submitting, open
from .records import Change, Frame, Gpus, Pools, RunResult, Tasks
from .run import Run

__all__ = ["SyncEngine", "SyncRun", "open_sync"]

Result = TypeVar("Result")


class _Loop:
    """A loop in a thread of its own, from `__enter__` to `__exit__`."""

    def __enter__(self) -> _Loop:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="passloop-api", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.run(self._loop.shutdown_asyncgens())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do it there and wait for it; it is cancelled if the wait is interrupted."""
        doing = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return doing.result()
        except BaseException:
            doing.cancel()
            raise


@contextmanager
def open_sync(home: str | os.PathLike[str] | None = None, *, virtual_gpus: str | None = None) -> Iterator[SyncEngine]:
    """`passloop.open` for code that does not await."""
    with _Loop() as loop:
        opening = open(home, virtual_gpus=virtual_gpus)
        engine = loop.run(_entered(opening))
        try:
            yield SyncEngine(loop, engine)
        finally:
            loop.run(_left(opening))


class SyncEngine:
    """See `Engine`; every method waits."""

    def __init__(self, loop: _Loop, engine: Engine) -> None:
        self._loop = loop
        self._engine = engine
        self.home = engine.home

    @property
    def embedded(self) -> bool:
        """Whether the engine runs in this process."""
        return self._engine.embedded

    def submit(self, work: Command | Iterable[Command], **said: Unpack[Submitting]) -> SyncRun:
        """See `Engine.submit`."""
        return SyncRun(self._loop, self._loop.run(self._engine.submit(work, **said)))

    def run(self, run: int | str) -> SyncRun:
        """See `Engine.run`."""
        return SyncRun(self._loop, self._loop.run(self._engine.run(run)))

    def tasks(self, *selectors: str | int, limit: int | None = None) -> Tasks:
        """See `Engine.tasks`."""
        return self._loop.run(self._engine.tasks(*selectors, limit=limit))

    def cancel(self, *selectors: str | int, reason: str = "cancelled by user") -> tuple[int, ...]:
        """See `Engine.cancel`."""
        return self._loop.run(self._engine.cancel(*selectors, reason=reason))

    def why(self, task: int) -> tuple[str, ...]:
        """See `Engine.why`."""
        return self._loop.run(self._engine.why(task))

    def gpus(self) -> Gpus:
        """See `Engine.gpus`."""
        return self._loop.run(self._engine.gpus())

    def pools(self) -> Pools:
        """See `Engine.pools`."""
        return self._loop.run(self._engine.pools())


class SyncRun:
    """See `Run`; every method waits."""

    def __init__(self, loop: _Loop, run: Run) -> None:
        self._loop = loop
        self._run = run
        self.id, self.name, self.task_ids, self.existing = run.id, run.name, run.task_ids, run.existing

    def __repr__(self) -> str:
        return repr(self._run)

    def wait(self, timeout: float | None = None) -> RunResult:
        """See `Run.wait`."""
        return self._loop.run(self._run.wait(timeout))

    def watch(self) -> Iterator[Change]:
        """See `Run.watch`."""
        changes = self._run.watch()
        try:
            while (change := self._loop.run(_next(changes))) is not None:
                yield change
        finally:
            self._loop.run(_closed(changes))

    def tasks(self) -> Tasks:
        """See `Run.tasks`."""
        return self._loop.run(self._run.tasks())

    def values(self) -> tuple[Any, ...]:
        """See `Run.values`."""
        return self._loop.run(self._run.values())

    def cancel(self, reason: str = "cancelled by user") -> Sequence[int]:
        """See `Run.cancel`."""
        return self._loop.run(self._run.cancel(reason))

    def to_pandas(self) -> Frame:
        """See `Run.to_pandas`."""
        return self._run.to_pandas()

    def _repr_html_(self) -> str:
        return self._run._repr_html_()


async def _entered(opening: Any) -> Engine:
    engine: Engine = await opening.__aenter__()
    return engine


async def _left(opening: Any) -> None:
    await opening.__aexit__(None, None, None)


async def _next(changes: AsyncGenerator[Change, None]) -> Change | None:
    return await anext(changes, None)


async def _closed(changes: AsyncGenerator[Change, None]) -> None:
    await changes.aclose()
