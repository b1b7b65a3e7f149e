"""Leases: a process of this user asks for GPUs, waits for them, gives them back. The ledger is that of all tasks."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from passloop.apps.queue.views import document, lease_view
from passloop.apps.text import check_group, check_key, check_run_name
from passloop.engine.engine import Engine
from passloop.engine.errors import NotFound
from passloop.engine.leasing import LeaseAsk, ask_for_lease, declare_limit, give_back_lease
from passloop.kernel.ids import TaskId
from passloop.kernel.tasks import LEASES
from passloop.store.reader import TaskView
from passloop.web.port import EngineHere, json_reply

__all__ = ["router"]

router = APIRouter(tags=["leases"])
LONGEST_MS = 600_000
Positive = Annotated[int, Field(ge=1, le=2**31)]
Order = Annotated[int, Field(ge=-1_000_000_000, le=1_000_000_000)]


class Leasing(BaseModel):
    """What is asked: whole GPUs for the process `pid` (started at `ticks`), VRAM in MiB per GPU."""

    model_config = ConfigDict(extra="forbid")
    pid: Positive
    ticks: Annotated[int, Field(ge=0, le=2**62)]
    gpus: Annotated[int, Field(ge=1, le=65_536)]
    owner: Annotated[str, Field(max_length=200)] = "lease"
    vram_mib: Annotated[int | None, Field(ge=0, le=2**30)] = None
    balance: bool = False
    limit: Annotated[str | None, Field(pattern="^leases-[1-9][0-9]{0,5}$")] = None
    key: str | None = None
    group: str = "default"
    priority: Order = 0


class Limiting(BaseModel):
    """How many leases of one limit may be held at once."""

    model_config = ConfigDict(extra="forbid")
    capacity: Annotated[int, Field(ge=1, le=1_000_000)]


@router.post("/leases")
async def ask(engine: EngineHere, body: Leasing) -> Response:
    """Queue for GPUs. Answered when that is durable; `GET /leases/{task}` tells when they are there."""
    check_run_name(body.owner)
    check_group(body.group)
    if body.key is not None:
        check_key(body.key)
    wanted = LeaseAsk(**body.model_dump(exclude={"group", "priority"}))
    task = await ask_for_lease(engine, wanted, group=body.group, priority=body.priority)
    return json_reply(document(task=task))


@router.get("/leases/{task}")
async def wait(
    engine: EngineHere,
    task: int,
    timeout_ms: Annotated[int, Query(ge=0, le=LONGEST_MS)] = 30_000,
) -> Response:
    """The lease once it is held or has ended, or when the time is over: its state tells which.

    `locks` says where its holder locks the GPUs for this home, so that no other takes them while there is no engine.
    """
    await _lease(engine, task)
    await engine.wait_started(TaskId(task), timeout_ms=timeout_ms)
    devices = await engine.look(lambda machine, _now: machine.devices())
    place = engine.desk.lock_place() if engine.desk is not None else None
    locks = None if place is None else {"folder": place[0], "home_id": place[1]}
    return json_reply(document(lease=lease_view(await _lease(engine, task), devices), locks=locks))


@router.post("/leases/{task}/release")
async def release(engine: EngineHere, task: int) -> Response:
    """End a lease, whether or not it began; its GPUs are free when this is answered."""
    await _lease(engine, task)
    await give_back_lease(engine, TaskId(task))
    return json_reply(document(released=task))


@router.post("/leases/limits/{number}")
async def limit(engine: EngineHere, number: Annotated[int, Path(ge=1, le=999_999)], body: Limiting) -> Response:
    """Make or resize the limit with this number; leases name it as `limit`."""
    return json_reply(document(limit=await declare_limit(engine, number, body.capacity)))


async def _lease(engine: Engine, task: int) -> TaskView:
    view = await engine.read(lambda reader: reader.task(task))
    if view is None or view.spec.driver != LEASES:
        raise NotFound(f"there is no lease {task}", hint="passloop ls")
    return view
