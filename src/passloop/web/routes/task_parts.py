"""GET /tasks/{id}/environment, /curves, /files: what hangs on one task. Files are sent as downloads, never shown."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Annotated

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response, StreamingResponse

from passloop.apps.queue.views import document
from passloop.web.models.task import attempt_row, curves, files, open_file, variables
from passloop.web.port import EngineHere, json_reply
from passloop.web.read_models import attempt_place

__all__ = ["router"]

router = APIRouter(tags=["tasks"])
Number = Annotated[int | None, Query(ge=1, le=2**31)]
PIECE = 1 << 18


@router.get("/tasks/{task}/environment")
async def show_environment(engine: EngineHere, task: int) -> Response:
    """The variables a task is given; values that look secret are null."""
    return json_reply(await engine.read(lambda reader: variables(reader, task)))


@router.get("/tasks/{task}/curves")
async def show_curves(engine: EngineHere, task: int, attempt: Number = None) -> Response:
    """Utilisation, memory and power of the devices while an attempt held them."""
    return json_reply(await engine.read(lambda reader: curves(reader, task, attempt)))


@router.get("/tasks/{task}/files")
async def list_files(engine: EngineHere, task: int, attempt: Number = None) -> Response:
    """The files that an attempt left in its `out/`."""
    row = await engine.read(lambda reader: attempt_row(reader, task, attempt))
    folder, _ = await engine.read(lambda reader: attempt_place(reader, task, engine.home, row.epoch))
    return json_reply(document(attempt=row.epoch, files=await asyncio.to_thread(files, folder)))


@router.get("/tasks/{task}/files/{name:path}", response_class=StreamingResponse)
async def send_file(
    engine: EngineHere, task: int, name: Annotated[str, Path(max_length=1_000)], attempt: Number = None
) -> StreamingResponse:
    """One of these files, to be saved."""
    folder, _ = await engine.read(lambda reader: attempt_place(reader, task, engine.home, attempt))
    descriptor = await asyncio.to_thread(open_file, folder, name)
    headers = {
        "Content-Length": str(os.fstat(descriptor).st_size),
        "Content-Disposition": "attachment",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(_pieces(descriptor), media_type="application/octet-stream", headers=headers)


def _pieces(descriptor: int) -> Iterator[bytes]:
    """A file as large as it was when it was opened, so that its length is true."""
    left = os.fstat(descriptor).st_size
    with os.fdopen(descriptor, "rb") as file:
        while left > 0 and (piece := file.read(min(PIECE, left))):
            left -= len(piece)
            yield piece
