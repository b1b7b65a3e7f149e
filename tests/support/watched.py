"""A world under suspicion: after every turn it asks everybody who could know better whether the turn was
right.

Its witnesses are the kernel's own invariants, the oracle over the rows, a twin machine that never restarts,
and a machine restored from the rows whose first, full pass must find nothing left to do: now, and at any time before
the next wake-up. `trusted` is false once a turn was found wrong: what follows proves nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from passloop.kernel.changes import TasksAnswer, Turn
from passloop.kernel.events import Cancelled, DrainChanged, Event
from passloop.kernel.instructions import Evict, Expand, Start, Stop, WatchDevices
from passloop.kernel.machine import Machine
from passloop.kernel.overview import PoolView
from passloop.kernel.pools import NO_RATE
from passloop.kernel.tasks import TaskState

from .builders import World
from .mirrored import differences
from .oracle import Oracle
from .source_oracle import SourceOracle
from .waking import time_alone_changes_nothing

__all__ = ["WatchedWorld"]

EVERY = 4
"""After one turn in so many everything that a restarted machine knows is held against what the live one does, and after
another it is asked what time alone would change."""


class WatchedWorld(World):
    """A world whose every turn is cross-examined. Starts are not reported on their own."""

    def __init__(self, **words: Any) -> None:
        self.oracle = Oracle()
        self.sources = SourceOracle()
        self.twin = Machine()
        self.must_cancel: set[int] = set()
        self.trusted = True
        super().__init__(auto_start=False, **words)

    def _handle(self, events: Sequence[Event], seed: int) -> Turn:
        self.trusted = False
        turn = self._examined(events, seed)
        self.trusted = True
        return turn

    def _examined(self, events: Sequence[Event], seed: int) -> Turn:
        before = dict(self.rows.tasks)
        passes = self.machine.passes
        self.oracle.learn(events, self.rows)
        turn = super()._handle(events, seed)
        assert self.machine.passes - passes == int(turn.passed), "invariant 13: one pass a batch at most"
        self._compare_twin(turn, events, seed)
        self._note_cancels(events, turn)
        self.oracle.check(before, self.rows, self.now)
        self.sources.check(turn, self.rows, self.oracle)
        self._check_cancelled_stay_so()
        self._check_nothing_is_left_to_do()
        return turn

    def _compare_twin(self, turn: Turn, events: Sequence[Event], seed: int) -> None:
        """Invariant 9: the same batches give the same turns, whether or not there was a restart between."""
        other = self.twin.handle(tuple(events), self.now, seed)
        assert _orders(turn) == _orders(other), "instructions differ from those of the machine that never restarted"
        assert _told(turn) == _told(other), "changes differ from those of the machine that never restarted"
        assert turn.answers == other.answers
        times = [time for time in (turn.wake_at, other.wake_at) if time is not None]
        self.wake_at = min(times, default=None)

    def _note_cancels(self, events: Sequence[Event], turn: Turn) -> None:
        for event, answer in zip(events, turn.answers, strict=True):
            if isinstance(event, Cancelled):
                assert isinstance(answer, TasksAnswer)
                self.must_cancel.update(answer.changed)

    def _check_cancelled_stay_so(self) -> None:
        """After a committed cancel a task is cancelled, whatever the exit."""
        for task in self.must_cancel:
            state = self.rows.state(task)
            assert state in (TaskState.STOPPING, TaskState.CANCELLED), f"cancelled task {task} is {state}"
            if state is TaskState.STOPPING:
                assert self.stopped(self.rows.tasks[task].id), f"nobody was told to stop task {task}"

    def _check_nothing_is_left_to_do(self) -> None:
        """A restart changes nothing: the restored machine agrees with the live one and its full pass starts
        nobody.
        """
        other = self.restored()
        turn = other.handle((), self.now, 0)
        assert not _orders(turn), f"a restart orders {_orders(turn)}"
        assert turn.changes == (), f"a restart changes {turn.changes}"
        _same("device", other.devices(), self.machine.devices())
        _same("pool", _of_known_size(other.pools(self.now)), _of_known_size(self.machine.pools(self.now)))
        _same("source", other.sources(), self.machine.sources())
        assert sorted(map(repr, other.running())) == sorted(map(repr, self.machine.running()))
        assert other.next_ids == self.machine.next_ids
        if len(self.turns) % EVERY == 0:
            unlike = differences(other, self.machine)
            assert not unlike, f"a restart remembers otherwise: {unlike}"
        if len(self.turns) % EVERY == 1:
            time_alone_changes_nothing(self)
        for task in self.rows.live():
            why = self.machine.explain(task, self.now)
            _same(f"why {task}", other.explain(task, self.now), why)
            over = [reason for reason in why if reason.until is not None and reason.until <= self.now]
            assert not over, f"task {task} waits at {self.now} for what is over: {over}"

    def restart(self) -> Turn:
        """Restart in a batch that lets the twin make a pass, too."""
        self.machine = self.restored()
        return self.send(DrainChanged(self.oracle.draining))

    def replayed(self) -> Machine:
        """A machine that was fed the same batches from the first; its turns must be these."""
        machine = Machine()
        for (events, now, seed), turn in zip(self.batches, self.turns, strict=True):
            again = machine.handle(events, now, seed)
            assert _orders(again) == _orders(turn), "replay orders something else"
            assert _told(again) == _told(turn), "replay changes something else"
        return machine


def _told(turn: Turn) -> list[str]:
    """Changes in one order; how many reservations were ever made, a restart may forget."""
    return sorted(re.sub(r"Reservation\(order=\d+", "Reservation(", repr(change)) for change in turn.changes)


def _of_known_size(pools: Iterable[PoolView]) -> list[PoolView]:
    """What is drawn on a rate that nobody knows yet is not stored."""
    return [pool if pool.capacity < NO_RATE else replace(pool, used=0, free=0) for pool in pools]


def _same(what: str, restored: Sequence[object], live: Sequence[object]) -> None:
    assert len(restored) == len(live), f"{what}: restored are {restored}, live are {live}"
    differing = [(a, b) for a, b in zip(restored, live, strict=True) if a != b]
    assert not differing, f"{what}: restored and live are {differing}"


def _orders(turn: Turn) -> list[object]:
    """Starts, stops and asks of sources in order; which devices are looked at is told again after a restart."""
    assert all(isinstance(order, Start | Stop | Evict | Expand | WatchDevices) for order in turn.instructions)
    return [order for order in turn.instructions if not isinstance(order, WatchDevices)]
