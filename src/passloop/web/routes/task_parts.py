"""GET /tasks/{id}/environment, /curves, /files: what hangs on one task. Files are sent as downloads, never shown."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator
from typing import Annotated, BinaryIO

from fastapi import APIRouter, Path, Query
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

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
    return _Download(await asyncio.to_thread(open_file, folder, name))


class _Download(StreamingResponse):
    """A file to be saved, as long as it was when it was opened. It is closed even if nobody stays to read it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        size = os.fstat(file.fileno()).st_size
        headers = {
            "Content-Length": str(size),
            "Content-Disposition": "attachment",
            "X-Content-Type-Options": "nosniff",
        }
        super().__init__(_pieces(file, size), media_type="application/octet-stream", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._file:
            await super().__call__(scope, receive, send)


def _pieces(file: BinaryIO, left: int) -> Iterator[bytes]:
    while left > 0 and (piece := file.read(min(PIECE, left))):
        left -= len(piece)
        yield piece
