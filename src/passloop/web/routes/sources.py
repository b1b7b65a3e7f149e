"""POST /sources: a run whose tasks are written out unit by unit. Durable when it is answered."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Request
from fastapi.responses import Response

from passloop.apps.queue.units import declared_of, decode_units, units_schema
from passloop.apps.queue.views import document
from passloop.web.port import EngineHere, ending, json_reply

__all__ = ["router"]

router = APIRouter(tags=["submit"])
BODY = {"requestBody": {"content": {"application/json": {"schema": units_schema()}}, "required": True}}


@router.post("/sources", openapi_extra=BODY)
async def declare(request: Request, engine: EngineHere) -> Response:
    """Store a run in units; its tasks come as there is room for them. `ending` is there as in POST /submit."""
    body = await request.body()
    declared = await asyncio.to_thread(lambda: declared_of(decode_units(body)))
    answer = await engine.declare_source(declared)
    return json_reply(document(run={"id": answer.run, "name": declared.name}, **ending(engine)))
