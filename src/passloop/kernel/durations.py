"""Learned run times: what a task's bound is when nobody enforces one.

Filed under the task's class, its program and all tasks together; a bound is the 95th percentile by nearest rank of
the last 1,000 successes, from 10 on. Source of nearest rank: Hyndman and Fan 1996, type 1.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

from .changes import DurationLearned
from .tasks import LEASES, TaskSpec

__all__ = ["KILL_MARGIN", "Bound", "Durations", "Forecast"]

SAMPLES_MOST = 1_000
SAMPLES_LEAST = 10
KILL_MARGIN = 10_000
"""What a kill may take beyond the grace, in ms: part of an enforced bound."""

Bound = tuple[int, bool]
"""(ms from the start, enforced)."""


class _Record:
    """The last run times of one class, in order of arrival and of length. `bound` is made of their p95."""

    __slots__ = ("arrival", "bound", "ordered", "total")

    def __init__(self) -> None:
        self.arrival: deque[int] = deque()
        self.ordered: list[int] = []
        self.total = 0
        self.bound: Bound | None = None

    def add(self, millis: int) -> None:
        if len(self.arrival) == SAMPLES_MOST:
            oldest = self.arrival.popleft()
            self.total -= oldest
            del self.ordered[bisect_left(self.ordered, oldest)]
        self.arrival.append(millis)
        insort(self.ordered, millis)
        self.total += millis
        n = len(self.ordered)
        if n >= SAMPLES_LEAST:
            p95 = self.ordered[-(-95 * n // 100) - 1]
            if self.bound is None or self.bound[0] != p95:
                self.bound = (p95, False)


class Forecast:
    """How long tasks of one spec run at most and on average, as far as that is known. It stays true as more is learned.

    `records` are where to look for a learned bound, nearest first: the class, the program, all tasks.
    """

    __slots__ = ("_class", "_enforced", "_records")

    def __init__(self, enforced: Bound | None, of_class: _Record | None, records: tuple[_Record, ...]) -> None:
        self._enforced = enforced
        self._class = of_class
        self._records = records

    def bound(self) -> Bound | None:
        """The enforced limit, else what was learned, else None."""
        if self._enforced is not None:
            return self._enforced
        for record in self._records:
            if record.bound is not None:
                return record.bound
        return None

    def mean(self) -> int | None:
        """The mean run time in ms of the class; None if it has no success yet."""
        record = self._class
        return record.total // len(record.arrival) if record is not None and record.arrival else None

    def class_p95(self) -> int | None:
        """The p95 in ms of the class alone; None while too little is learned of it."""
        bound = None if self._class is None else self._class.bound
        return None if bound is None else bound[0]


class Durations:
    """Learned run times of all classes."""

    __slots__ = ("_all", "_classes", "_programs")

    def __init__(self) -> None:
        self._classes: dict[str, _Record] = {}
        self._programs: dict[str, _Record] = {}
        self._all = _Record()

    def learn(self, sample: DurationLearned) -> None:
        """File one success."""
        if sample.task_class:
            _named(self._classes, sample.task_class).add(sample.millis)
        if sample.program:
            _named(self._programs, sample.program).add(sample.millis)
        self._all.add(sample.millis)

    def forecast(self, spec: TaskSpec) -> Forecast:
        """What is known, now and later, of the tasks of a spec.

        A lease has no bound, so that none passes another by it: leases are first in, first out.
        """
        of_class = _named(self._classes, spec.task_class) if spec.task_class else None
        if spec.driver == LEASES:
            return Forecast(None, of_class, ())
        if spec.time_limit is not None:
            return Forecast((spec.time_limit + spec.grace + KILL_MARGIN, True), of_class, ())
        of_program = _named(self._programs, spec.program) if spec.program else None
        records = (record for record in (of_class, of_program, self._all) if record is not None)
        return Forecast(None, of_class, tuple(records))


def _named(records: dict[str, _Record], name: str) -> _Record:
    record = records.get(name)
    if record is None:
        record = records[name] = _Record()
    return record
