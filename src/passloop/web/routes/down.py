"""POST /down: the engine begins to go down. It is gone when the home's lock is free."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict

from passloop.apps.queue.views import document
from passloop.engine.drain import DownMode
from passloop.web.port import HostHere, json_reply

__all__ = ["router"]

router = APIRouter(tags=["engine"])


class Going(BaseModel):
    """How to go down: let running work finish, leave it running for the next engine, or end it now."""

    model_config = ConfigDict(extra="forbid")
    mode: DownMode = DownMode.DRAIN


@router.post("/down")
async def down(host: HostHere, body: Going) -> Response:
    """Begin to go down; a later call may be more urgent, never less."""
    host.go_down(body.mode)
    return json_reply(document(mode=body.mode.value, attempts=host.engine.status().attempts), status=202)
