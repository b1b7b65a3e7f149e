"""POST /tune: a study, trial by trial. Durable when it is answered; a study whose run is still under way gets that run
again. What it needs of studies is imported when the first one is sent: an engine without studies starts sooner.
"""

from __future__ import annotations

import asyncio
import importlib

from fastapi import APIRouter, Request
from fastapi.responses import Response

from passloop.apps.queue.views import document
from passloop.web.port import HostHere, ending, json_reply

__all__ = ["router"]

router = APIRouter(tags=["submit"])
SCHEMA = {
    "type": "object",
    "properties": {
        "study": {"type": "string"},
        "environment": {"type": "object"},
        "box": {"type": "array", "items": {"type": ["integer", "null"]}, "minItems": 2, "maxItems": 2},
    },
    "required": ["study"],
}
BODY = {"requestBody": {"content": {"application/json": {"schema": SCHEMA}}, "required": True}}


@router.post("/tune", openapi_extra=BODY)
async def tune(request: Request, host: HostHere) -> Response:
    """Declare the places of a study's trials, and its run. `ending` is there as in POST /submit."""
    await asyncio.to_thread(importlib.import_module, "passloop.apps.tune.search.declaring")
    from passloop.apps.tune.search.declaring import decode_request, live_run
    from passloop.apps.tune.search.expander import declared_of, parallel_of

    engine = host.engine
    body = await request.body()
    asked = await asyncio.to_thread(decode_request, body)
    study = await asyncio.to_thread(asked.read)
    async with host.declaring:
        live = await engine.read(lambda reader: live_run(reader, study))
        if live is not None:
            run = {"id": live.row.id, "name": live.row.name}
            return json_reply(document(run=run, joined=True, **ending(engine)))
        declared = await asyncio.to_thread(lambda: declared_of(study, environment=asked.environment))
        await engine.send(parallel_of(study))
        answer = await engine.declare_source(declared)
    return json_reply(document(run={"id": answer.run, "name": declared.name}, joined=False, **ending(engine)))
