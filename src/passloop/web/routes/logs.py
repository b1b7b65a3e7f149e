"""GET /tasks/{id}/log: the bytes an attempt wrote, by range. They are bytes: nothing in them is interpreted."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response

from passloop.store.artifacts import open_artifact
from passloop.store.errors import ArtifactRefused
from passloop.web import read_models
from passloop.web.port import EngineHere

__all__ = ["router"]

router = APIRouter(tags=["tasks"])
MOST_BYTES = 8 * 1024 * 1024


@router.get("/tasks/{task}/log")
async def task_log(
    engine: EngineHere,
    task: int,
    stream: Literal["stdout", "stderr"] = "stdout",
    attempt: Annotated[int | None, Query(ge=1, le=2**31)] = None,
    offset: Annotated[int, Query(ge=0, le=2**62)] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_BYTES)] = 1024 * 1024,
) -> Response:
    """At most `limit` bytes from `offset` on. `X-Log-Size` is the size of the whole; none was written: it is 0."""
    path = await engine.read(
        lambda reader: read_models.log_file(reader, task, engine.home, stream=stream, attempt=attempt)
    )
    size, data = await asyncio.to_thread(_read, path, offset, limit)
    headers = {"X-Log-Size": str(size), "X-Content-Type-Options": "nosniff"}
    return Response(data, media_type="application/octet-stream", headers=headers)


def _read(path: Path, offset: int, limit: int) -> tuple[int, bytes]:
    """Only a plain file of the attempt itself: a task may have put a link or a pipe in its place."""
    try:
        descriptor = open_artifact(path.parent, path.name)
    except ArtifactRefused:
        return 0, b""
    with os.fdopen(descriptor, "rb") as file:
        size = file.seek(0, 2)
        file.seek(min(offset, size))
        return size, file.read(limit)
