"""The one thread that writes to the store. Owns the order of commits; decides nothing.

After each commit it reads, in the same trip to the thread, what the turn's instructions will need: the payloads and
environments of the tasks to start. The loop therefore pays for one hand-over per turn, however many tasks are in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from passloop.kernel.events import Exited, StrayGone
from passloop.kernel.ids import TaskId
from passloop.kernel.instructions import Start
from passloop.kernel.tasks import CALLS, LEASES, AttemptRow
from passloop.passing import Passing
from passloop.store.database import Batch, Store
from passloop.store.errors import StoreBusy, StoreError, StoreFull
from passloop.store.home import Home

from .attempts import attempt_path, ended_in, runs_of_tasks
from .metrics import read_metrics
from .threads import Threads

__all__ = ["WITHOUT_FOLDER", "Loaded", "Writer"]

Result = TypeVar("Result")
MOST_ENVIRONMENTS = 64
WITHOUT_FOLDER = frozenset({CALLS, LEASES})
"""Drivers whose attempts have no folder of their own."""


_NOTHING: Mapping[Any, Any] = MappingProxyType({})


class Loaded(NamedTuple):
    """The number of the commit in the journal, and what instructions need: payloads by task, environments by id, and
    by task what earlier attempts left as results. `unread` is why that cannot be had now, though the batch is stored.
    """

    seq: int
    payloads: Mapping[TaskId, Mapping[str, Any]] = _NOTHING
    environments: Mapping[str, Mapping[str, str]] = _NOTHING
    left: Mapping[TaskId, str] = _NOTHING
    unread: StoreError | None = None


def _unless_full(work: Callable[[Store], None], store: Store) -> None:
    with contextlib.suppress(StoreFull, StoreBusy):
        work(store)


class Writer:
    """Runs functions on the writing connection, one after the other, off the loop."""

    def __init__(self, store: Store, home: Home) -> None:
        self._store = store
        self._home = home
        self._thread = Threads(1, name="passloop-writer")
        self._environments: dict[str, Mapping[str, str]] = {}

    async def run(self, work: Callable[[Store], Result]) -> Result:
        """Run `work` with the store in the writer's thread."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work, self._store)

    def run_soon(self, work: Callable[[Store], None]) -> None:
        """Run `work` after what is under way; a full disk then costs what it would have kept, and no more."""
        self._thread.post(_unless_full, work, self._store)

    async def commit(self, batch: Batch, instructions: Sequence[object]) -> Loaded:
        """Commit the batch durably, then read what its instructions need.

        Raises `StoreFull`, `StoreBusy` or `StoreRefused`; then nothing of the batch is stored. After `StoreDamaged` it
        may be, as it is where `Loaded.unread` says that the reading failed.
        """
        return await self.run(lambda store: self._commit(store, batch, instructions))

    def close(self) -> None:
        """Wait for the last piece of work and end the thread."""
        self._thread.shutdown(wait=True)

    def _commit(self, store: Store, batch: Batch, instructions: Sequence[object]) -> Loaded:
        seq = store.commit(self._with_results(batch))
        starts = [order for order in instructions if isinstance(order, Start)]
        if not starts:
            return Loaded(seq)
        try:
            return self._load(store, seq, starts)
        except StoreError as error:
            if not isinstance(error, Passing):
                raise
            return Loaded(seq, unread=error)

    def _with_results(self, batch: Batch) -> Batch:
        """The batch with what ended attempts left behind: told with their end, or as `metrics.json` in their folder.
        A task has the results of its last attempt that ended, also if that one left none; of a call, what is known of
        its answer stays.
        """
        told = {event.attempt: event.result for event in batch.events if type(event) is Exited}
        gone = {event.attempt for event in batch.events if type(event) is StrayGone} - told.keys()
        runs: dict[int, int] | None = None
        results = []
        for row in ended_in(batch.changes):
            if row.id in gone:  # it ended before, and what it left was kept then
                continue
            text = told.get(row.id)
            if text is None:
                if row.driver in WITHOUT_FOLDER:
                    continue
                runs = runs_of_tasks(batch.changes) if runs is None else runs
                text = self._metrics(runs.get(row.task), row)
            if text is not None or row.epoch > 1:
                results.append((int(row.task), text))
        return replace(batch, results=tuple(results)) if results else batch

    def _metrics(self, run: int | None, row: AttemptRow) -> str | None:
        return None if run is None else read_metrics(f"{attempt_path(self._home, run, row.task, row.epoch)}/out")

    def _load(self, store: Store, seq: int, starts: Sequence[Start]) -> Loaded:
        again = [order.task for order in starts if order.epoch > 1 and order.driver == CALLS]
        texts, left = store.brought_by([order.task for order in starts], again)
        payloads: dict[TaskId, Mapping[str, Any]] = {task: json.loads(text) for task, text in texts.items()}
        names = {str(payload.get("environment", "")) for payload in payloads.values()}
        environments = {name: self._environment(store, name) for name in names if name}
        return Loaded(seq, payloads, environments, left)

    def _environment(self, store: Store, name: str) -> Mapping[str, str]:
        known = self._environments.get(name)
        if known is None:
            known = store.environment(name)
            if len(self._environments) >= MOST_ENVIRONMENTS:
                self._environments.clear()
            self._environments[name] = known
        return known
