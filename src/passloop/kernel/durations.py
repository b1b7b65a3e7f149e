"""Learned run times: what a task's bound is when nobody enforces one.

Filed under the task's class, its program and all tasks together; a bound is the 95th percentile by nearest rank of
the last 1,000 successes, from 10 on. Source of nearest rank: Hyndman and Fan 1996, type 1.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

from .changes import DurationLearned
from .tasks import LEASES, TaskSpec

__all__ = ["KILL_MARGIN", "Bound", "Durations"]

SAMPLES_MOST = 1_000
SAMPLES_LEAST = 10
KILL_MARGIN = 10_000
"""What a kill may take beyond the grace, in ms: part of an enforced bound."""

Bound = tuple[int, bool]
"""(ms from the start, enforced)."""


class _Record:
    """The last run times of one class, in order of arrival and of length."""

    __slots__ = ("arrival", "ordered", "total")

    def __init__(self) -> None:
        self.arrival: deque[int] = deque()
        self.ordered: list[int] = []
        self.total = 0

    def add(self, millis: int) -> None:
        if len(self.arrival) == SAMPLES_MOST:
            oldest = self.arrival.popleft()
            self.total -= oldest
            del self.ordered[bisect_left(self.ordered, oldest)]
        self.arrival.append(millis)
        insort(self.ordered, millis)
        self.total += millis

    def p95(self) -> int | None:
        n = len(self.ordered)
        return self.ordered[-(-95 * n // 100) - 1] if n >= SAMPLES_LEAST else None


class Durations:
    """Learned run times of all classes. `version` grows with each sample, for caches."""

    __slots__ = ("_all", "_classes", "_programs", "version")

    def __init__(self) -> None:
        self._classes: dict[str, _Record] = {}
        self._programs: dict[str, _Record] = {}
        self._all = _Record()
        self.version = 0

    def learn(self, sample: DurationLearned) -> None:
        """File one success."""
        if sample.task_class:
            self._classes.setdefault(sample.task_class, _Record()).add(sample.millis)
        if sample.program:
            self._programs.setdefault(sample.program, _Record()).add(sample.millis)
        self._all.add(sample.millis)
        self.version += 1

    def learned(self, spec: TaskSpec) -> int | None:
        """The p95 in ms of the class, else of the program, else of all tasks; None while nothing is learned."""
        for records, name in ((self._classes, spec.task_class), (self._programs, spec.program)):
            record = records.get(name)
            if record is not None:
                p95 = record.p95()
                if p95 is not None:
                    return p95
        return self._all.p95()

    def of_class(self, task_class: str) -> int | None:
        """The p95 in ms of the class alone; None while too little is learned of it."""
        record = self._classes.get(task_class)
        return None if record is None else record.p95()

    def mean(self, spec: TaskSpec) -> int | None:
        """The mean run time in ms of the class; None if it has no success yet."""
        record = self._classes.get(spec.task_class)
        return record.total // len(record.arrival) if record is not None and record.arrival else None

    def bound(self, spec: TaskSpec) -> Bound | None:
        """How long a task of this spec runs at most: its enforced limit, else what was learned, else None.

        A lease has none, so that none passes another by it: leases are first in, first out.
        """
        if spec.driver == LEASES:
            return None
        if spec.time_limit is not None:
            return spec.time_limit + spec.grace + KILL_MARGIN, True
        learned = self.learned(spec)
        return None if learned is None else (learned, False)
