"""Workers are parked when their task ends, promoted to the next task behind it, evicted when they lie too long, gone.

A worker is proven gone in one of two ways: its attempt ends without leaving it parked, or `WorkerGone` says so.
"""

from __future__ import annotations

import json
from typing import Any

from .device_pool import DeviceState
from .events import Exited, Parked, WorkerGone, WorkerGrew
from .ids import MEMORY
from .ledger import charge
from .presence import evict, forget, give_starts, lay_down, make_room
from .records import Attempt
from .state import State
from .workers import WORKERS, Worker

__all__ = [
    "IDLE_MOST",
    "PARKED_MOST",
    "give_starts",
    "leave_worker",
    "on_worker_gone",
    "on_worker_grew",
    "restore_workers",
    "settle",
    "start_refused",
]

IDLE_MOST = 300_000
"""How long a worker may lie parked, in ms."""

PARKED_MOST = 16
"""How many workers may lie parked: those that ask for no device and no memory would be held back by nothing else."""

_UNUSABLE = (DeviceState.LOST, DeviceState.QUARANTINED)


def leave_worker(state: State, attempt: Attempt, event: Exited) -> None:
    """An attempt has ended and given back what it held: its worker goes on, is parked, or is gone with it."""
    known = state.workers
    worker = known.of(attempt.id)
    if worker is None and attempt.id not in known.kept_back:
        return
    state.touch_pool(WORKERS)
    known.kept_back.pop(attempt.id, None)
    if worker is None:
        return
    was_first = worker.attempts[0] == attempt.id
    if was_first and (event.parked is None or event.stray):
        forget(state, worker)
        return
    state.workers.take(worker, attempt.id)
    if not was_first:
        return
    worker.process = attempt.process
    worker.promoted = bool(worker.attempts)
    if worker.promoted:
        _promote(state, state.attempts[worker.attempts[0]], attempt)
    else:
        assert event.parked is not None
        _park(state, worker, event.parked, attempt)


def _promote(state: State, following: Attempt, ended: Attempt) -> None:
    """Who waited behind takes over what the ended one held."""
    following.allocation = ended.allocation
    charge(state, following)
    state.touch_attempt(following)


def _park(state: State, worker: Worker, told: Parked, attempt: Attempt) -> None:
    """The worker lies from now on. It holds what the driver says, and never more than its task was granted."""
    granted = {grant.uuid: grant for grant in attempt.allocation.devices}
    worker.devices = tuple(granted[grant.uuid] for grant in told.devices if grant.uuid in granted)
    worker.memory = min(told.memory_mib, dict(attempt.allocation.amounts).get(MEMORY, 0))
    worker.since = state.now
    lay_down(state, worker)
    state.stir()


def start_refused(state: State, attempt: Attempt) -> None:
    """Nothing was started: a new worker never was, one that lay parked lies there again."""
    worker = state.workers.of(attempt.id)
    if worker is None:
        return
    if worker.id == attempt.id:
        forget(state, worker)
        return
    state.workers.take(worker, attempt.id)
    memory = dict(attempt.allocation.amounts).get(MEMORY, 0)
    _park(state, worker, Parked(worker.id, attempt.allocation.devices, memory), attempt)


def on_worker_gone(state: State, event: WorkerGone) -> None:
    """A worker that lay is proven gone. Of a busy one the end of its attempt tells."""
    worker = state.workers.by_id.get(event.worker)
    if worker is not None and worker.lying:
        forget(state, worker)
        state.stir()


def on_worker_grew(state: State, event: WorkerGrew) -> None:
    """A worker leaks, and ends: that changes nothing here, but belongs to the story of its last task."""
    attempt = state.attempts.get(event.attempt)
    if attempt is not None and attempt.epoch == event.epoch:
        state.touch(state.tasks[attempt.task])


def settle(state: State) -> None:
    """Evict the parked workers that may not stay: idle too long, too many, nothing left to do, a device unusable.

    Then wake when the one that has lain longest has lain too long.
    """
    state.wakeups.idle_at = None
    if not state.workers.by_id:
        return
    staying = state.workers.parked()
    for number, worker in enumerate(staying):
        too_many = len(staying) - number > PARKED_MOST
        if too_many or worker.since + IDLE_MOST <= state.now or _is_over(state, worker):
            evict(state, worker)
    state.wakeups.idle_at = next((one.since + IDLE_MOST for one in staying if one.parked), None)
    make_room(state, [grant.uuid for worker in staying for grant in worker.devices])


def _is_over(state: State, worker: Worker) -> bool:
    """Whether no task of its run can want it any more, or a device of it is not to be used."""
    devices = state.devices.devices
    unusable = any(grant.uuid not in devices or devices[grant.uuid].state in _UNUSABLE for grant in worker.devices)
    source = state.sources.get(worker.run)
    return unusable or not (state.workers.unfinished[worker.run] or (source is not None and source.is_open))


def restore_workers(state: State, text: str) -> None:
    """Put the workers back as they were kept, beside the attempts that are charged again."""
    body: dict[str, Any] = json.loads(text)
    for kept in body["workers"]:
        worker = Worker.of_body(kept)
        state.workers.add(worker)
        if worker.lying:
            lay_down(state, worker)
    state.workers.kept_back.update(dict.fromkeys(body["kept_back"]))
