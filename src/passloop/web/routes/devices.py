"""GPUs and pools: who holds what, what is closed, what was spent; and a user's word that one may be used again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from passloop.apps.queue.views import document, gpu_view, pool_view
from passloop.kernel.events import PoolOpened, QuarantineReleased
from passloop.kernel.ids import PoolName
from passloop.web.models.calls import calls, family_of, last_minutes, steps_between
from passloop.web.models.now import lying_workers
from passloop.web.models.task import device_curve
from passloop.web.port import EngineHere, json_reply

__all__ = ["router"]

router = APIRouter(tags=["capacity"])
HOUR = 3_600_000


@router.get("/gpus")
async def list_gpus(engine: EngineHere) -> Response:
    """Every GPU and who holds it; the workers that lie parked; `absent_reason` says why there are no GPUs, if so."""
    devices, workers = await engine.look(lambda machine, _now: (machine.devices(), lying_workers(machine)))
    absent = engine.desk.inventory.absent_reason if engine.desk is not None and not devices else ""
    return json_reply(document(gpus=[gpu_view(device) for device in devices], absent_reason=absent, workers=workers))


@router.get("/gpus/{uuid}/curves")
async def show_curves(
    engine: EngineHere,
    uuid: str,
    since: Annotated[int | None, Query(alias="from", ge=0, le=2**53)] = None,
    until: Annotated[int | None, Query(alias="to", ge=0, le=2**53)] = None,
) -> Response:
    """Utilisation, memory and power of a GPU between two times in ms, by default the last hour."""
    last = engine.clock.now() if until is None else until
    first = last - HOUR if since is None else since
    return json_reply(await engine.read(lambda reader: device_curve(reader, uuid, first, last)))


@router.post("/gpus/{uuid}/release")
async def release_gpu(engine: EngineHere, uuid: str) -> Response:
    """Vouch for a quarantined GPU; it may be used again."""
    await engine.send(QuarantineReleased(uuid=uuid))
    return json_reply(document(released=uuid))


@router.get("/pools")
async def list_pools(engine: EngineHere) -> Response:
    """Every pool: how much it has, how much is used, whether it is closed and until when."""
    pools = await engine.look(lambda machine, now: machine.pools(now))
    return json_reply(document(pools=[pool_view(pool) for pool in pools]))


@router.get("/pools/{name:path}/calls")
async def list_calls(
    engine: EngineHere,
    name: str,
    minutes: Annotated[int, Query(ge=1, le=1_440)] = 60,
    since: Annotated[int | None, Query(alias="from", ge=0, le=2**53)] = None,
    until: Annotated[int | None, Query(alias="to", ge=0, le=2**53)] = None,
) -> Response:
    """What became of the calls that drew on a pool or one below it, and how many it let be under way: minute by minute,
    or from one engine time in ms to another (by default now) in some sixty steps.
    """
    pools = await engine.look(lambda machine, now: {str(pool.name): pool for pool in machine.pools(now)})
    family, now = family_of(name, pools), engine.clock.now()
    steps = last_minutes(now, minutes) if since is None else steps_between(since, now if until is None else until)
    return json_reply(await engine.read(lambda reader: calls(reader, name, family, steps, now=now)))


@router.get("/spend")
async def show_spend(engine: EngineHere) -> Response:
    """Tokens and their cost by the model of each endpoint: in all, and of the last 24 hours."""
    from passloop.web.models.spend import spend

    now = engine.clock.now()
    return json_reply(await engine.read(lambda reader: spend(reader, now=now)))


@router.post("/pools/{name:path}/open")
async def open_pool(engine: EngineHere, name: str) -> Response:
    """Open a closed pool: it is probed by the next attempt."""
    await engine.send(PoolOpened(name=PoolName(name)))
    return json_reply(document(opened=name))
