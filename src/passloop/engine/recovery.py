"""The way back after a start: what the store holds, what still runs, what the box has. Nothing is released by hand.

In this order: the machine from the store; drivers find their attempts again; stops that may not have reached a driver
are given again; pools and devices are declared as they are now. All of it lies in the inbox before the first turn,
which makes an admission pass whatever it holds, so that nothing that was ready can be stranded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from passloop.crashpoints import crashpoint
from passloop.drivers.base import Driver, LiveAttempt, LiveWorker, WarmDriver
from passloop.kernel.events import DrainChanged, PauseChanged
from passloop.kernel.ids import AttemptId, RunId
from passloop.kernel.lifecycle import RECALL
from passloop.kernel.saved import Saved
from passloop.kernel.tasks import TaskState
from passloop.kernel.workers import WORKERS, Worker, workers_in
from passloop.store.database import Store

from .attempts import attempt_folder, attempt_name
from .capacity import declared_pools
from .inbox import Inbox

__all__ = ["declare_box", "live_attempts", "reattach"]

_REASONS = {"down": "down", RECALL: "recall"}
"""What a driver is told by the stop reason of a task; for all others it is cancelled."""


def live_attempts(store: Store, saved: Saved) -> dict[str, list[LiveAttempt]]:
    """What drivers must find again, by driver. Strays of tasks that are final are among them."""
    tasks = {task.row.id: task for task in saved.tasks}
    workers = {attempt: AttemptId(worker.id) for worker in _workers(saved) for attempt in worker.attempts}
    found: dict[str, list[LiveAttempt]] = {}
    for row in saved.attempts:
        task = tasks[row.task]
        run = RunId(task.row.run)
        live = LiveAttempt(
            attempt=row.id,
            epoch=row.epoch,
            run=run,
            task=row.task,
            name=attempt_name(store.home_id, row.id),
            directory=attempt_folder(store.home, run, row.task, row.epoch),
            state=row.state,
            process=row.process,
            grace=task.spec.grace,
            allocation=row.allocation,
            worker=workers.get(row.id),
        )
        found.setdefault(row.driver, []).append(live)
    return found


async def reattach(drivers: Mapping[str, Driver], live: Mapping[str, Sequence[LiveAttempt]], saved: Saved) -> None:
    """Let each driver find its attempts again, then give it the stops once more that the last engine decided on."""
    crashpoint("before_reattach")
    for name, warm in drivers.items():
        if isinstance(warm, WarmDriver):
            await warm.reattach_workers(_live_workers(name, saved))
    for name, attempts in live.items():
        driver = drivers.get(name)
        if driver is not None:
            await driver.reattach(attempts)
    _stop_again(drivers, saved)
    crashpoint("after_reattach")


def _workers(saved: Saved) -> list[Worker]:
    text = next((pool.state for pool in saved.pools if pool.kind == WORKERS), None)
    return [] if text is None else workers_in(text)


def _live_workers(driver: str, saved: Saved) -> list[LiveWorker]:
    return [
        LiveWorker(AttemptId(worker.id), worker.lying, worker.evicted)
        for worker in _workers(saved)
        if worker.driver == driver
    ]


def _stop_again(drivers: Mapping[str, Driver], saved: Saved) -> None:
    tasks = {task.row.id: task for task in saved.tasks}
    for row in saved.attempts:
        task = tasks[row.task]
        driver = drivers.get(row.driver)
        if driver is None or row.state != TaskState.STOPPING:
            continue
        reason = _REASONS.get(task.row.stop_reason, "cancelled")
        crashpoint("before_stop")
        driver.halt(row.id, row.epoch, grace=task.spec.grace, reason=reason)
        crashpoint("after_stop")


def declare_box(inbox: Inbox, environ: Mapping[str, str]) -> None:
    """Say how large this box is now, and that work may be claimed."""
    for pool in declared_pools(environ):
        inbox.put(pool)
    inbox.put(DrainChanged(draining=False))
    inbox.put(PauseChanged(paused=False))
