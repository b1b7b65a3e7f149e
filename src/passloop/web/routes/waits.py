"""GET /wait: answered when all selected tasks are final, or when the time is over. Nobody asks again and again."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from passloop.apps.queue.views import document
from passloop.web import read_models
from passloop.web.port import HostHere, json_reply

__all__ = ["router"]

router = APIRouter(tags=["tasks"])
LONGEST_MS = 600_000


@router.get("/wait")
async def wait(
    host: HostHere,
    select: Annotated[list[str], Query(min_length=1)],
    timeout_ms: Annotated[int, Query(ge=0, le=LONGEST_MS)] = 30_000,
) -> Response:
    """`final` says whether all of them are; `tasks` how each stands. The tasks are those selected at the beginning, and
    of a run that is named whole, all that its source still writes out; `coming` are the runs of which there were some.
    """
    engine = host.engine
    end = asyncio.get_running_loop().time() + timeout_ms / 1000
    tasks, sources = await engine.read(lambda reader: read_models.select_whole(reader, select, over=True))
    final = await engine.wait_final(tasks, timeout_ms=timeout_ms)
    coming = [source.run for source in sources if source.ended_at is None or host.files.follows(source.run)]
    for run in coming:
        over = await engine.wait_source(run, timeout_ms=_left(end))
        over = over and await host.files.wait(run, timeout_ms=_left(end))
        final = over and final
    if coming:
        tasks = await engine.read(lambda reader: read_models.select(reader, select))
    standing = await engine.read(lambda reader: read_models.standing(reader, tasks))
    return json_reply(document(final=final, tasks=standing, coming=coming))


def _left(end: float) -> int:
    """The milliseconds until a time on the loop's clock."""
    return max(0, round((end - asyncio.get_running_loop().time()) * 1000))
