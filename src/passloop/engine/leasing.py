"""Leases: devices for a process that is there already. A lease is a task whose driver is `leases`, and nothing else.

So it waits in the one queue, by the one ledger; here is only how it is asked for, told and given back. It must never
choose or count devices itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from passloop.drivers.leases import LeaseDriver
from passloop.kernel.events import Cancelled, PoolDeclared, PoolKind, Submitted
from passloop.kernel.ids import PoolName, TaskId
from passloop.kernel.resources import DeviceAsk, Request, Variant
from passloop.kernel.tasks import LEASES, NewTask, TaskSpec

from .engine import Engine

__all__ = ["LeaseAsk", "ask_for_lease", "declare_limit", "give_back_lease"]

LIMIT_PREFIX = "leases-"


@dataclass(frozen=True, slots=True)
class LeaseAsk:
    """Devices for the process `pid` that started at `ticks`. VRAM in MiB per device; `limit` names a limit pool."""

    pid: int
    ticks: int
    owner: str
    gpus: int
    vram_mib: int | None = None
    balance: bool = False
    limit: str | None = None
    key: str | None = None


async def ask_for_lease(engine: Engine, ask: LeaseAsk, *, group: str = "default", priority: int = 0) -> TaskId:
    """Queue for a lease; durable when it returns. The same key asked again is the same lease.

    Patience is 0: what a blocked lease lacks is kept for it from the start, so that none overtakes it. Raises
    `Refused` for what can never fit.
    """
    amounts = ((PoolName(ask.limit), 1),) if ask.limit is not None else ()
    variant = Variant(DeviceAsk(count=ask.gpus, vram_mib=ask.vram_mib, balance=ask.balance), amounts)
    spec = TaskSpec(Request((variant,)), driver=LEASES, grace=0, patience=0, task_class="lease", program="lease")
    payload = json.dumps({"name": ask.owner, "pid": ask.pid, "ticks": ask.ticks})
    submitted = Submitted(
        name=ask.owner,
        tasks=(NewTask(spec=spec, payload=payload, key=ask.key),),
        group=group,
        priority=priority,
        about=json.dumps({"kind": "lease", "pid": ask.pid}),
    )
    answer = await engine.submit(submitted)
    return answer.tasks[0]


async def give_back_lease(engine: Engine, task: TaskId) -> None:
    """End a lease whether or not it began; what it held is free when this returns. An ended one is no error."""
    driver = engine.drivers.get(LEASES)
    held = [row for row in engine.attempts.rows() if row.task == task and row.state == "running"]
    if held and isinstance(driver, LeaseDriver):
        driver.release(held[0].id)
    else:
        await engine.send(Cancelled(tasks=(task,), reason="given back before it began"))
    await engine.wait_final([task])


async def declare_limit(engine: Engine, number: int, capacity: int) -> PoolName:
    """The limit pool with this number: at most `capacity` of the leases that name it are held at once."""
    name = PoolName(f"{LIMIT_PREFIX}{number}")
    await engine.send(PoolDeclared(name=name, kind=PoolKind.LIMIT, capacity=capacity))
    return name
