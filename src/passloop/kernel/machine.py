"""The machine: `handle(events, now)` is the only way in. It decides and returns; it never acts.

One call takes a batch of events in order, lets at most one admission pass follow, and returns a `Turn`: what became
different, what to do, the answers, and when to call again if nothing happens before. If what it returned cannot be
committed, the machine is thrown away and rebuilt from the store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from . import capacity, events, expansion, lifecycle, parking, saving, submission, user_requests, warm_order
from .admission import Admission
from .blockers import Blocker, explain
from .changes import Answer, Change, Turn
from .events import Event
from .ids import TaskId
from .ledger import admit
from .overview import DeviceView, PoolView, device_views, pool_views
from .saved import Saved
from .source_status import SourceStatus, source_statuses
from .state import KernelSettings, State

__all__ = ["KernelSettings", "Machine"]

_HANDLERS: dict[type[Any], Callable[[State, Any], Answer]] = {
    events.Submitted: submission.on_submitted,
    events.SourceDeclared: expansion.on_source_declared,
    events.Expanded: expansion.on_expanded,
    events.ExpansionFailed: expansion.on_expansion_failed,
    events.SourceRetried: expansion.on_source_retried,
    events.UnitResized: expansion.on_unit_resized,
    events.Started: lifecycle.on_started,
    events.StartRefused: lifecycle.on_start_refused,
    events.Exited: lifecycle.on_exited,
    events.StrayGone: lifecycle.on_stray_gone,
    events.WorkerGone: parking.on_worker_gone,
    events.WorkerGrew: parking.on_worker_grew,
    events.Cancelled: user_requests.on_cancelled,
    events.Held: user_requests.on_held,
    events.Released: user_requests.on_released,
    events.GroupHeld: user_requests.on_group_held,
    events.GroupReleased: user_requests.on_group_released,
    events.Reprioritised: user_requests.on_reprioritised,
    events.DevicesSeen: capacity.on_devices_seen,
    events.PoolDeclared: capacity.on_pool_declared,
    events.PoolOpened: capacity.on_pool_opened,
    events.QuarantineReleased: capacity.on_quarantine_released,
    events.DrainChanged: capacity.on_drain_changed,
    events.PauseChanged: capacity.on_pause_changed,
}


class Machine:
    """Decides which tasks run, from events and time alone. `passes` counts the admission passes so far."""

    def __init__(self, settings: KernelSettings | None = None) -> None:
        self.state = State(settings or KernelSettings())
        self.passes = 0
        self.batches = 0

    @classmethod
    def restore(cls, saved: Saved, settings: KernelSettings | None = None) -> Machine:
        """Rebuild a machine from what the store kept. Its next turn makes a pass whatever its events."""
        machine = cls(settings)
        saving.restore(machine.state, saved)
        machine.state.stir()
        return machine

    @property
    def next_ids(self) -> tuple[int, int, int]:
        """The next free (run, task, attempt) ids."""
        return self.state.next_run, self.state.next_task, self.state.next_attempt

    def handle(self, batch: Sequence[Event], now: int, seed: int = 0) -> Turn:
        """Handle events in order at `now` (engine ms), then decide what starts. `seed` feeds jitter.

        Time never goes back: an earlier `now` counts as the last one. Raises `IllegalEvent` for an event that a
        task's state does not allow, which means a bug.
        """
        state = self.state
        state.now = max(now, state.now)
        state.seed = seed
        self.batches += 1
        saving.forget_final(state)
        expansion.forget_over(state)
        answers: list[Answer] = [_HANDLERS[type(event)](state, event) for event in batch]
        capacity.on_due(state)
        user_requests.end_doomed(state)
        parking.settle(state)
        parking.give_starts(state)
        warm_order.call_back(state)
        passed = state.turn.admission
        if passed:
            self.passes += 1
            while Admission(state, self._admit).run() or warm_order.claim_ahead(state):
                pass  # to a fixpoint: each walk but the last started somebody
            capacity.watch_devices(state)
            expansion.ask(state)
        return self._close_turn(tuple(answers), passed=passed)

    def explain(self, task: TaskId, now: int) -> tuple[Blocker, ...]:
        """Why a task is not running, by the predicates that admission uses; () for one that runs or is final."""
        return explain(self.state, task, now)

    def pools(self, now: int) -> tuple[PoolView, ...]:
        """Every pool as it is, frozen."""
        return pool_views(self.state, now)

    def devices(self) -> tuple[DeviceView, ...]:
        """Every device as it is, frozen."""
        return device_views(self.state)

    def sources(self) -> tuple[SourceStatus, ...]:
        """Every source that is not over, with why it is not asked for more, frozen."""
        return source_statuses(self.state)

    def running(self) -> tuple[int, ...]:
        """The ids of attempts that hold something: admitted, running, stopping or stray."""
        return tuple(self.state.attempts)

    def counts(self) -> dict[str, int]:
        """How many tasks the machine holds, by state."""
        found: dict[str, int] = {}
        for task in self.state.tasks.values():
            found[task.state.value] = found.get(task.state.value, 0) + 1
        return found

    def _admit(self, *args: Any) -> None:
        admit(self.state, *args)

    def _close_turn(self, answers: tuple[Answer, ...], *, passed: bool) -> Turn:
        state = self.state
        changes: tuple[Change, ...] = saving.changes(state)
        instructions = tuple(state.turn.instructions)
        state.begin_turn()
        return Turn(changes, instructions, answers, state.wakeups.next(), passed)
