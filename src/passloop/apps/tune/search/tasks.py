"""A trial as a task: the process that measures it, what it asks of the machine, how long it may take. Pure."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec

from passloop.apps.tune.secrets import references
from passloop.apps.tune.study_view import ORDER, key_of
from passloop.kernel.ids import CPU, MEMORY, PoolName
from passloop.kernel.resources import DeviceAsk, Request, Variant
from passloop.kernel.tasks import NewTask, RetryBudgets, TaskSpec

if TYPE_CHECKING:
    from passloop.apps.tune.candidates import Candidate
    from passloop.apps.tune.records import Order
    from passloop.apps.tune.study import Study

__all__ = ["environment_id", "parallel_pool", "request_of", "task_of"]

MARGIN = 60_000
"""Beside the limits of its phases: a trial ends itself before its task is ended."""
PROGRAM = "passloop.apps.tune.trial"


def parallel_pool(study: Study) -> PoolName:
    """The pool that holds `max_parallel` places: of every trial of the study, also of those a user retries. Two studies
    of one name that measure different things have a pool each.
    """
    return PoolName(f"trials:{study.name}:{study.id[:6]}")


def request_of(study: Study, candidate: Candidate) -> Request:
    """What a candidate's trial asks: its devices, all or nothing, its CPUs and memory, and a place among the trials."""
    amounts = {CPU: candidate.cpus_milli, MEMORY: candidate.mem_mib or 0, parallel_pool(study): 1}
    devices = DeviceAsk(count=candidate.gpus, vram_mib=candidate.vram_mib) if candidate.gpus else None
    return Request(
        (
            Variant(
                devices=devices,
                amounts=tuple(sorted((name, amount) for name, amount in amounts.items() if amount)),
                exclusive=study.spec.resources.exclusive,
            ),
        )
    )


def task_of(study: Study, candidate: Candidate, order: Order, *, environment: str) -> NewTask:
    """The task. Its order stands in it, so that parameters and task are one commit."""
    limits = order.limits
    phases = limits.download + limits.start + limits.stop + limits.verify
    points = len(order.load.points) + (int(study.spec.load.max_load.steps) if study.spec.load.max_load else 0)
    spec = TaskSpec(
        request=request_of(study, candidate),
        time_limit=phases + points * (limits.warmup + limits.point) + MARGIN,
        grace=limits.stop + MARGIN // 2,
        retries=RetryBudgets(failure=0, timeout=0, out_of_memory=0),
        task_class=f"tune {study.spec.tune}",
        program="tune",
    )
    return NewTask(
        spec=spec,
        payload=json.dumps(_payload(study, order, environment)),
        key=key_of(study.id, candidate.hash),
        index=order.trial,
        rank=order.trial,
    )


def _payload(study: Study, order: Order, environment: str) -> Mapping[str, object]:
    secrets = references(study.spec.engine.env, study.load.options, study.folder)
    return {
        "name": f"trial {order.trial}",
        "command": [sys.executable, "-P", "-m", PROGRAM],
        "cwd": str(study.cwd),
        "environment": environment,
        "env": {ORDER: msgspec.json.encode(order).decode()},
        **({"secrets": secrets} if secrets else {}),
        "index": order.trial,
        "params": dict(order.params),
    }


def environment_id(text: str) -> str:
    """The id under which an environment (JSON text) is stored."""
    return hashlib.sha256(text.encode()).hexdigest()
