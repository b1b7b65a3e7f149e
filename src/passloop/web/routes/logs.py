"""GET /tasks/{id}/log and /log/follow: the bytes an attempt wrote, by range or as they come. They are bytes: nothing in
them is interpreted.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from passloop.web import read_models
from passloop.web.following import Followed, check_followable, follow_log, read_log
from passloop.web.port import EngineHere

__all__ = ["router"]

router = APIRouter(tags=["tasks"])
MOST_BYTES = 8 * 1024 * 1024
Stream = Literal["stdout", "stderr"]
Number = Annotated[int | None, Query(ge=1, le=2**31)]
Offset = Annotated[int, Query(ge=0, le=2**62)]
BYTES = "application/octet-stream"


@router.get("/tasks/{task}/log")
async def task_log(
    engine: EngineHere,
    task: int,
    stream: Stream = "stdout",
    attempt: Number = None,
    offset: Offset = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_BYTES)] = 1024 * 1024,
    tail: Annotated[int | None, Query(ge=1, le=MOST_BYTES)] = None,
) -> Response:
    """At most `limit` bytes from `offset` on, or the last `tail`. `X-Log-Size` is the size of the whole (0: none was
    written), `X-Log-Offset` where these begin.
    """
    place = await engine.read(
        lambda reader: read_models.log_file(reader, task, engine.home, stream=stream, attempt=attempt)
    )
    size, at, data = await asyncio.to_thread(read_log, place.path, offset, tail or limit, tail=tail is not None)
    headers = {"X-Log-Size": str(size), "X-Log-Offset": str(at), "X-Content-Type-Options": "nosniff"}
    return Response(data, media_type=BYTES, headers=headers)


@router.get("/tasks/{task}/log/follow", response_class=StreamingResponse)
async def follow(
    engine: EngineHere, task: int, stream: Stream = "stdout", attempt: Number = None, offset: Offset = 0
) -> StreamingResponse:
    """Bytes from `offset` on as they are written, until the attempt has ended."""
    place = await engine.read(
        lambda reader: read_models.log_file(reader, task, engine.home, stream=stream, attempt=attempt)
    )
    check_followable(engine)
    followed = Followed(engine, task, place.path, is_latest=place.is_latest)
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "X-Accel-Buffering": "no"}
    return StreamingResponse(follow_log(followed, offset), media_type=BYTES, headers=headers)
