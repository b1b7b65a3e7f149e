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
    engine, loop = host.engine, asyncio.get_running_loop()
    end = loop.time() + timeout_ms / 1000
    tasks, sources = await engine.read(lambda reader: read_models.select_whole(reader, select))
    final = await engine.wait_final(tasks, timeout_ms=timeout_ms)
    coming = [source.run for source in sources if source.ended_at is None]
    for source in sources:
        if source.ended_at is not None:
            await host.files.wait(source.run)
    for run in coming:
        left = max(0, round((end - loop.time()) * 1000))
        over = await engine.wait_source(run, timeout_ms=left)
        if over:
            await host.files.wait(run)
        final = over and final
    if coming:
        tasks = await engine.read(lambda reader: read_models.select(reader, select))
    standing = await engine.read(lambda reader: read_models.standing(reader, tasks))
    return json_reply(document(final=final, tasks=standing, coming=coming))
