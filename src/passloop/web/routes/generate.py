"""POST /generate: a dataset, row group by row group. Durable when it is answered; a dataset whose run is still under
way gets that run again.
"""

from __future__ import annotations

import asyncio
import os

from fastapi import APIRouter, Request
from fastapi.responses import Response

from passloop.apps.generate.declaring import check_keys, decode_request, live_run
from passloop.apps.generate.expander import declared_of
from passloop.apps.queue.views import document
from passloop.drivers.calls.endpoints import declarations
from passloop.web.port import HostHere, ending, json_reply

__all__ = ["router"]

router = APIRouter(tags=["submit"])
SCHEMA = {
    "type": "object",
    "properties": {
        "dataset": {"type": "object"},
        "environment": {"type": "object"},
        "files": {"type": "boolean", "default": True},
    },
    "required": ["dataset"],
}
BODY = {"requestBody": {"content": {"application/json": {"schema": SCHEMA}}, "required": True}}


@router.post("/generate", openapi_extra=BODY)
async def generate(request: Request, host: HostHere) -> Response:
    """Declare the pools of a dataset's models, and its run. Its last task writes the files, unless `files` is false.
    `ending` is there as in POST /submit.
    """
    engine = host.engine
    body = await request.body()
    asked = await asyncio.to_thread(decode_request, body)
    dataset = await asyncio.to_thread(asked.read)
    check_keys(dataset, os.environ)
    async with host.declaring:
        live = await engine.read(lambda reader: live_run(reader, dataset))
        if live is not None:
            run = {"id": live.row.id, "name": live.row.name}
            return json_reply(document(run=run, joined=True, **ending(engine)))
        declared = await asyncio.to_thread(declared_of, dataset, environment=asked.environment, files=asked.files)
        for pool in declarations(dataset.models.values()):
            await engine.send(pool)
        answer = await engine.declare_source(declared)
    if asked.files:
        host.files.follow(answer.run)
    return json_reply(document(run={"id": answer.run, "name": declared.name}, joined=False, **ending(engine)))
