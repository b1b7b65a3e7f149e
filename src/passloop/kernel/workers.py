"""Workers as the machine knows them: processes that stay between two tasks of one run that need the same things loaded.

A worker is busy (it has attempts, of which the first is live and the others wait behind it), parked (it has none and
may be served again) or evicted (it was told to end). It keeps its place in here until it is proven gone. Records only;
the rules stand in `presence.py`, `parking.py` and `warm_order.py`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

from .events import PoolKind
from .ids import AttemptId, PoolName
from .records import Shape, ShapeVariant
from .resources import Grant

__all__ = ["WORKERS", "Worker", "Workers", "kept_back_in", "workers_in"]

WORKERS = PoolName(":workers")
"""The name under which the store keeps them among the pools. No user's pool can have it."""


class Worker:
    """One worker process. Its id is that of the attempt that started it; `request` is what its tasks ask, as text.

    `devices` and `memory` (MiB) are what it holds while it lies parked or evicted; a busy one holds what its first
    attempt is charged. `since` is when it was parked. `overtakes` tasks with another key were passed by since
    `overtaking_since`, `spent` is what `overtakes` was before it was served last. `promoted` says that its live
    attempt took over from another, and so began without another look at its devices.
    """

    __slots__ = (
        "attempts",
        "devices",
        "driver",
        "evicted",
        "id",
        "memory",
        "overtakes",
        "overtaking_since",
        "process",
        "promoted",
        "request",
        "run",
        "since",
        "spent",
        "warm_key",
    )

    def __init__(self, worker_id: AttemptId, driver: str, run: int, warm_key: str, request: str) -> None:
        self.id = worker_id
        self.driver = driver
        self.run = run
        self.warm_key = warm_key
        self.request = request
        self.attempts: list[AttemptId] = []
        self.devices: tuple[Grant, ...] = ()
        self.memory = 0
        self.since = 0
        self.evicted = False
        self.overtakes = self.spent = 0
        self.overtaking_since = 0
        self.process = "{}"
        self.promoted = False

    @property
    def lying(self) -> bool:
        """Whether it holds something beside the charges of attempts: parked, or evicted and not yet gone."""
        return not self.attempts

    @property
    def parked(self) -> bool:
        """Whether it may be served again."""
        return not self.attempts and not self.evicted

    def body(self) -> list[object]:
        """As JSON data, from which `of_body` makes it again."""
        devices = [[g.uuid, g.share, g.vram_mib] for g in self.devices]
        head = [self.id, self.driver, self.run, self.warm_key, self.request, list(self.attempts), devices]
        return [
            *head,
            self.memory,
            self.since,
            self.evicted,
            self.overtakes,
            self.spent,
            self.overtaking_since,
            self.process,
            self.promoted,
        ]

    @classmethod
    def of_body(cls, body: list[Any]) -> Worker:
        """A worker as `body` gave it."""
        worker_id, driver, run, warm_key, request, attempts, devices, *rest = body
        worker = cls(AttemptId(worker_id), driver, run, warm_key, request)
        worker.attempts = [AttemptId(attempt) for attempt in attempts]
        worker.devices = tuple(Grant(*grant) for grant in devices)
        worker.memory, worker.since, worker.evicted, worker.overtakes = rest[:4]
        worker.spent, worker.overtaking_since, worker.process = rest[4:7]
        worker.promoted = any(rest[7:])  # stores of before 0.2 do not say
        return worker


class Workers:
    """All workers that are not proven gone. `kept_back` are admitted attempts whose start waits for evictions, in
    order of admission; `unfinished` counts tasks with a warm key that are not final, by run.
    """

    __slots__ = ("_of", "_requests", "by_id", "kept_back", "recall_at", "unfinished")

    def __init__(self) -> None:
        self.by_id: dict[int, Worker] = {}
        self.kept_back: dict[AttemptId, None] = {}
        self.unfinished: Counter[int] = Counter()
        self.recall_at: int | None = None
        self._of: dict[AttemptId, Worker] = {}
        self._requests: dict[ShapeVariant, str] = {}

    def of(self, attempt: AttemptId) -> Worker | None:
        """The worker that has an attempt, if it has one."""
        return self._of.get(attempt)

    def add(self, worker: Worker) -> None:
        """A worker is known from now on, with the attempts it has."""
        self.by_id[worker.id] = worker
        for attempt in worker.attempts:
            self._of[attempt] = worker

    def remove(self, worker: Worker) -> None:
        """A worker is proven gone; attempts that wait behind it have none any more."""
        del self.by_id[worker.id]
        for attempt in worker.attempts:
            del self._of[attempt]
        worker.attempts.clear()

    def give(self, worker: Worker, attempt: AttemptId) -> None:
        """The attempt is to run on the worker, after those that are there."""
        worker.attempts.append(attempt)
        self._of[attempt] = worker

    def take(self, worker: Worker, attempt: AttemptId) -> None:
        """The attempt is no longer the worker's."""
        worker.attempts.remove(attempt)
        del self._of[attempt]

    def request(self, variant: ShapeVariant) -> str:
        """What a task asks, without limits and rates: tasks with equal ones may share a worker."""
        found = self._requests.get(variant)
        if found is None:
            found = self._requests[variant] = _request_of(variant)
        return found

    def requests(self, shape: Shape) -> set[str]:
        """What the tasks of a shape may ask."""
        return {self.request(variant) for variant in shape.variants}

    def lying(self) -> Iterator[Worker]:
        """Workers that are parked or evicted."""
        return (worker for worker in self.by_id.values() if worker.lying)

    def finish(self, run: int) -> None:
        """A task of this run with a warm key is final."""
        self.unfinished[run] -= 1
        if not self.unfinished[run]:
            del self.unfinished[run]

    def parked(self) -> list[Worker]:
        """Parked workers, least recently used first."""
        found = [w for w in self.by_id.values() if not w.attempts and not w.evicted]
        if len(found) > 1:
            found.sort(key=lambda w: (w.since, w.id))
        return found

    def text(self) -> str:
        """As JSON text for the store."""
        workers = [self.by_id[number].body() for number in sorted(self.by_id)]
        return json.dumps({"workers": workers, "kept_back": list(self.kept_back)})


def workers_in(text: str) -> list[Worker]:
    """The workers in a text that `Workers.text` made."""
    return [Worker.of_body(body) for body in json.loads(text)["workers"]]


def kept_back_in(text: str) -> frozenset[int]:
    """The attempts in a text that `Workers.text` made whose start was not given yet."""
    return frozenset(json.loads(text)["kept_back"])


def _request_of(variant: ShapeVariant) -> str:
    ask = variant.devices
    wants = "" if ask is None else f"gpu={ask.count}/{ask.share}/{ask.vram_mib}/{int(ask.balance)} "
    return wants + " ".join(f"{pool.name}={n}" for pool, n in variant.draws if pool.kind is PoolKind.AMOUNT)
