"""GET /now and /timeline: what the page shows first."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from passloop.web.models.now import now
from passloop.web.models.timeline import DAY, timeline
from passloop.web.port import EngineHere, json_reply

__all__ = ["router"]

router = APIRouter(tags=["looking"])
Moment = Annotated[int | None, Query(ge=0, le=2**53)]
HOUR = 3_600_000


@router.get("/now")
async def show_now(engine: EngineHere, limit: Annotated[int, Query(ge=0, le=100)] = 20) -> Response:
    """What runs, what waits and why, what failed last, GPUs and pools: at most `limit` tasks of each sort."""
    return json_reply(await now(engine, limit=limit))


@router.get("/timeline")
async def show_timeline(
    engine: EngineHere,
    since: Annotated[int | None, Query(alias="from", ge=0, le=2**53)] = None,
    until: Annotated[int | None, Query(alias="to", ge=0, le=2**53)] = None,
    width: Annotated[int, Query(ge=50, le=10_000)] = 1_200,
) -> Response:
    """Lanes of attempts and gaps between two times in ms, by default the last hour, drawn `width` pixels wide."""
    at = engine.clock.now()
    last = at if until is None else until
    first = last - HOUR if since is None else since
    return json_reply(await timeline(engine, max(first, last - 31 * DAY), last, width=width))
