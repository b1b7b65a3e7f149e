"""The first view: what runs, what waits and why, what failed last, and what there is to run on.

The tasks are committed rows; the reasons are the machine's own word, asked for the few tasks that are shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from passloop.apps.queue import views
from passloop.clock import iso_utc
from passloop.engine.engine import Engine
from passloop.kernel.blockers import Blocker
from passloop.kernel.ids import TaskId
from passloop.kernel.machine import Machine
from passloop.kernel.parking import IDLE_MOST
from passloop.store.filters import TaskFilter
from passloop.store.reader import Reader, TaskView
from passloop.web.version import version

from .table import lines_of

__all__ = ["lying_workers", "now"]

RUNNING = ("running", "stopping", "admitted")
WAITING = ("ready", "backoff", "waiting", "held")
FAILED = ("failed", "rejected", "aborted")


class Rows(NamedTuple):
    """What the store says."""

    seq: int
    counts: Mapping[str, int]
    running: Sequence[TaskView]
    waiting: Sequence[TaskView]
    failures: Sequence[TaskView]


async def now(engine: Engine, *, limit: int) -> views.Json:
    """The document, with at most `limit` tasks of each sort."""
    rows = await engine.read(lambda reader: _rows(reader, limit))
    waiting = [TaskId(task.row.id) for task in rows.waiting]
    devices, pools, workers, blockers = await engine.look(
        lambda machine, at: (machine.devices(), machine.pools(at), lying_workers(machine), _why(machine, waiting, at))
    )
    status = engine.status()
    about = {
        "state": status.state,
        "version": version(),
        "started_at": iso_utc(status.started_at),
        "home": str(engine.home.path),
    }
    return views.document(
        seq=rows.seq,
        at=iso_utc(engine.clock.now()),
        engine=about,
        counts=rows.counts,
        running=[_running(task) for task in rows.running],
        waiting=[_waiting(task, why) for task, why in zip(rows.waiting, blockers, strict=True)],
        failures=[views.line_view(task) for task in rows.failures],
        gpus=[views.gpu_view(device) for device in devices],
        absent_reason=engine.desk.inventory.absent_reason if engine.desk is not None and not devices else "",
        workers=workers,
        pools=[views.pool_view(pool) for pool in pools],
    )


def lying_workers(machine: Machine) -> list[views.Json]:
    """The workers that hold something beside attempts, least recently used first."""
    lying = sorted(machine.state.workers.lying(), key=lambda worker: (worker.since, worker.id))
    return [views.worker_view(worker, worker.since + IDLE_MOST) for worker in lying]


def _rows(reader: Reader, limit: int) -> Rows:
    seq = reader.last_seq()  # first, so that whatever is committed meanwhile is read again

    def some(states: Sequence[str], order: str) -> list[TaskView]:
        return lines_of(reader, reader.page(TaskFilter(), states=states, order=order, limit=limit).ids)

    return Rows(seq, reader.counts(), some(RUNNING, "priority"), some(WAITING, "priority"), some(FAILED, "ended"))


def _why(machine: Machine, tasks: Sequence[TaskId], at: int) -> list[tuple[Blocker, ...]]:
    return [machine.explain(task, at) for task in tasks]


def _running(task: TaskView) -> views.Json:
    started, limit = task.row.started_at, task.spec.time_limit
    until = None if started is None or limit is None else started + limit
    return {**views.line_view(task), "until": iso_utc(until)}


def _waiting(task: TaskView, blockers: Sequence[Blocker]) -> views.Json:
    return {**views.line_view(task), "blockers": [views.blocker_view(blocker) for blocker in blockers]}
