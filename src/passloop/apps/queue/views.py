"""The JSON shapes of `5-interfaces.md`, made from what the store's reader and the machine give. They decide
nothing.

Times are ISO 8601 UTC with milliseconds and `Z`, sizes MiB, CPUs 1/1,000. Every document has
`schema_version`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from passloop.clock import iso_utc
from passloop.kernel.amounts import SHARE_WHOLE
from passloop.kernel.blockers import Blocker
from passloop.kernel.events import Foreign
from passloop.kernel.overview import DeviceView, PoolView
from passloop.kernel.resources import CPU, MEMORY, Variant
from passloop.kernel.source_rows import SourceState
from passloop.kernel.tasks import FINAL_STATES, AttemptRow, Outcome, TaskRow
from passloop.kernel.workers import Worker
from passloop.store.reader import RunView, TaskView
from passloop.store.sources import SourceHead

__all__ = [
    "SCHEMA_VERSION",
    "attempt_view",
    "blocker_view",
    "document",
    "gpu_view",
    "lease_view",
    "line_view",
    "pool_view",
    "request_view",
    "run_view",
    "seen_view",
    "shown_task",
    "source_view",
    "task_view",
    "to_come",
    "why_view",
    "worker_view",
]

SCHEMA_VERSION = 1
LONGEST_LINE = 300

Json = dict[str, Any]


def document(**parts: Any) -> Json:
    """A JSON document: the version and its parts."""
    return {"schema_version": SCHEMA_VERSION, **parts}


def task_view(task: TaskView) -> Json:
    """A task as `ls --json` lists it."""
    row, payload = task.row, _mapping(task.payload)
    return {
        **_head(task, payload),
        "request": request_view(task.spec.request.variants),
        "results": None if task.results is None else _parsed(task.results),
        "command": payload.get("command") or [],
        "cwd": payload.get("cwd"),
        "params": payload.get("params"),
        "index": payload.get("index"),
        "line": payload.get("line"),
        "after": [need.task for need in task.after if not need.any_end],
        "after_any": [need.task for need in task.after if need.any_end],
        "retry_of": row.retry_of,
        "retried_by": row.retried_by,
        **seen_view(task.latest.outcome if task.latest is not None else None),
    }


def line_view(task: TaskView) -> Json:
    """A task in short, as one line of a table: what it asks and left is not in it."""
    payload = _mapping(task.payload)
    command = " ".join(map(str, payload.get("command") or ()))
    return {
        **_head(task, payload),
        "params": payload.get("params"),
        "command": command if len(command) <= LONGEST_LINE else command[: LONGEST_LINE - 3] + "...",
        "pools": [pool for pool, _ in task.latest.allocation.amounts] if task.latest is not None else [],
        "admitted_at": iso_utc(task.latest.admitted_at) if task.latest is not None else None,
        "retried_by": task.row.retried_by,
    }


def _head(task: TaskView, payload: Json) -> Json:
    """What each view of a task begins with: who it is, how it stands, when and on which GPUs it was so."""
    row = task.row
    return {
        "id": row.id,
        "key": row.key,
        "run": {"id": row.run, "name": task.run_name},
        "name": payload.get("name") or "",
        "group": row.group,
        "state": row.state.value,
        "held": row.held and row.state not in FINAL_STATES,
        "attempt": row.attempts,
        "exit_code": row.exit_code,
        "outcome": row.outcome.value if row.outcome is not None else None,
        "message": row.message,
        "priority": row.priority,
        "submitted_at": iso_utc(row.submitted_at),
        "started_at": iso_utc(row.started_at),
        "ended_at": iso_utc(row.ended_at),
        "gpus": _gpus(task.latest),
    }


def shown_task(task: TaskView, attempts: Sequence[AttemptRow], *, folders: Mapping[int, str]) -> Json:
    """A task as `show --json` gives it: with its limits and attempts. `folders` by attempt number (epoch)."""
    spec = task.spec
    return {
        **task_view(task),
        "task_class": spec.task_class,
        "time_limit_ms": spec.time_limit,
        "grace_ms": spec.grace,
        "deadline_ms": spec.deadline,
        "patience_ms": spec.patience,
        "wait_for_capacity": spec.wait_for_capacity,
        "retries": {
            "failure": spec.retries.failure,
            "timeout": spec.retries.timeout,
            "out_of_memory": spec.retries.out_of_memory,
            "lost": spec.retries.lost,
        },
        "env": sorted(_mapping(task.payload).get("env") or {}),
        "directory": folders.get(task.row.attempts),
        "attempts": [attempt_view(one, directory=folders.get(one.epoch)) for one in attempts],
    }


def attempt_view(attempt: AttemptRow, *, directory: str | None = None) -> Json:
    """One attempt: when, where, how it ended."""
    outcome = attempt.outcome
    held = {str(pool): amount for pool, amount in attempt.allocation.amounts}
    return {
        "id": attempt.id,
        "attempt": attempt.epoch,
        "driver": attempt.driver,
        "state": attempt.state,
        **_outcome(outcome),
        "admitted_at": iso_utc(attempt.admitted_at),
        "started_at": iso_utc(attempt.started_at),
        "ended_at": iso_utc(attempt.ended_at),
        "gpus": _gpus(attempt),
        "variant": attempt.allocation.variant,
        "cpus_milli": held.pop(CPU, 0),
        "mem_mib": held.pop(MEMORY, 0),
        "need": held,
        "pid": _mapping(attempt.process).get("pid"),
        **seen_view(outcome),
        "directory": directory,
    }


def seen_view(outcome: Outcome | None) -> Json:
    """What was seen of an attempt beside its end, if anything: how busy its devices were, how its worker grew."""
    found: Json = {}
    if outcome is not None and outcome.devices is not None:
        use = outcome.devices
        found["device_use"] = {
            "mean_percent": use.mean,
            "peak_percent": use.peak,
            "peak_mib": use.memory_mib,
            "reads": use.reads,
        }
    if outcome is not None and outcome.growth is not None:
        found["growth"] = {"mib": outcome.growth.mib, "cells": outcome.growth.cells}
    return found


def request_view(variants: Iterable[Variant]) -> list[Json]:
    """A request: its variants. `gpus` is whole or a fraction under 1; `need` has all other pools by name."""
    return [_variant(variant) for variant in variants]


def source_view(source: SourceHead) -> Json:
    """What is still to come of a run's tasks; `to_come` is how many, None if nobody knows.

    `lags` are the columns of which fewer units are written out than of others, each with how many these are.
    """
    row, plan = source.row, source.plan
    return {
        "state": row.state.value,
        "held": row.held,
        "message": row.message,
        "units": {"done": row.unit, "of": plan.units},
        "tasks": {"done": row.tasks, "of": plan.tasks},
        "to_come": to_come(source),
        "lags": [
            {"node": lag.node, "group": plan.template[lag.node].group, "units": row.unit - lag.unit} for lag in row.lags
        ],
    }


def to_come(source: SourceHead) -> int | None:
    """How many tasks are not written out yet; None if nobody knows."""
    if source.row.state in (SourceState.EXHAUSTED, SourceState.CANCELLED):
        return 0
    return None if source.plan.tasks is None else max(0, source.plan.tasks - source.row.tasks)


def run_view(run: RunView) -> Json:
    """A run with how many of its tasks are in which state."""
    about = _mapping(run.about)
    return {
        **({} if run.source is None else {"source": source_view(run.source)}),
        "id": run.row.id,
        "name": run.row.name,
        "group": run.row.group,
        "submitted_at": iso_utc(run.row.submitted_at),
        "counts": dict(run.counts),
        "tasks": sum(run.counts.values()),
        "kind": about.get("kind"),
        "about": about,
    }


def blocker_view(blocker: Blocker) -> Json:
    """One reason."""
    return {
        "code": blocker.code.value,
        "pool": blocker.pool,
        "need": blocker.need,
        "free": blocker.free,
        "holders": list(blocker.holders),
        "until": iso_utc(blocker.until),
        "sentence": blocker.sentence,
    }


def why_view(task: TaskRow, blockers: Iterable[Blocker]) -> Json:
    """`why --json`: the state and every reason."""
    return document(
        task=task.id,
        state=task.state.value,
        blockers=[blocker_view(blocker) for blocker in blockers],
    )


def gpu_view(device: DeviceView) -> Json:
    """One device as `gpus --json` lists it."""
    return {
        "index": device.index,
        "uuid": device.uuid,
        "name": device.name,
        "vram_mib": device.vram_mib,
        "free_mib": device.free_mib,
        "free_share": device.free_share / SHARE_WHOLE,
        "state": device.state,
        "holders": list(device.holders),
        "reserved_for": device.reserved_for,
        "foreign": [_foreign(each) for each in device.foreign],
        "strays": list(device.strays),
        "fault": device.fault,
        "utilisation": device.utilisation,
        "virtual": device.virtual,
    }


def lease_view(task: TaskView, devices: Iterable[DeviceView]) -> Json:
    """A lease: the task it is, and its GPUs in the order granted; their `index` is None once they are lost."""
    known = {device.uuid: device for device in devices}
    grants = task.latest.allocation.devices if task.latest is not None else ()
    return {
        "task": task.row.id,
        "state": task.row.state.value,
        "message": task.row.message,
        "owner": _mapping(task.payload).get("name") or "",
        "attempt": task.latest.id if task.latest is not None else None,
        "started_at": iso_utc(task.row.started_at),
        "gpus": [
            {
                "uuid": grant.uuid,
                "index": known[grant.uuid].index if grant.uuid in known else None,
                "vram_mib": grant.vram_mib,
            }
            for grant in grants
        ],
    }


def pool_view(pool: PoolView) -> Json:
    """One scalar pool as `pools --json` lists it."""
    return {
        "name": pool.name,
        "kind": pool.kind,
        "capacity": pool.capacity,
        "used": pool.used,
        "free": pool.free,
        "parent": pool.parent,
        "state": pool.gate,
        "until": iso_utc(pool.until),
        "limit": pool.limit,
        "holders": list(pool.holders),
    }


def worker_view(worker: Worker, until: int) -> Json:
    """One worker that lies parked, or is ending; `until` is the latest engine time at which it is told to end."""
    return {
        "worker": worker.id,
        "run": worker.run,
        "key": worker.warm_key,
        "state": "parked" if worker.parked else "ending",
        "since": iso_utc(worker.since),
        "until": iso_utc(until) if worker.parked else None,
        "gpus": [grant.uuid for grant in worker.devices],
        "memory_mib": worker.memory,
    }


def _variant(variant: Variant) -> Json:
    devices = variant.devices
    need = {str(pool): amount for pool, amount in variant.amounts}
    gpus: int | float = 0
    if devices is not None:
        gpus = devices.count or devices.share / SHARE_WHOLE
    return {
        "gpus": gpus,
        "vram_mib": devices.vram_mib if devices is not None else None,
        "balance": devices.balance if devices is not None else False,
        "cpus_milli": need.pop(CPU, 0),
        "mem_mib": need.pop(MEMORY, 0),
        "need": need,
    }


def _outcome(outcome: Outcome | None) -> Json:
    if outcome is None:
        return {"outcome": None, "exit_code": None, "signal": None, "message": ""}
    return {
        "outcome": outcome.kind.value,
        "exit_code": outcome.exit_code,
        "signal": outcome.signal,
        "message": outcome.message,
    }


def _gpus(attempt: AttemptRow | None) -> list[str]:
    return [] if attempt is None else [grant.uuid for grant in attempt.allocation.devices]


def _foreign(one: Foreign) -> Json:
    return {"pid": one.pid, "user": one.user, "name": one.name, "vram_mib": one.vram_mib}


def _mapping(text: str) -> Json:
    value = _parsed(text)
    return value if isinstance(value, dict) else {}


def _parsed(text: str) -> Any:
    """JSON as stored; what is not JSON (a foreign or repaired row) is shown as nothing."""
    try:
        return json.loads(text)
    except ValueError:
        return None
