"""GET /events: server-sent events, one per committed turn, replayed from the journal and then live."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query
from fastapi.responses import StreamingResponse

from passloop.web.port import EngineHere
from passloop.web.stream import event_stream

__all__ = ["router"]

router = APIRouter(tags=["events"])
Number = Annotated[int | None, Query(ge=0, le=2**62)]


@router.get("/events", response_class=StreamingResponse)
async def events(
    engine: EngineHere,
    after: Number = None,
    last_event_id: Annotated[int | None, Header(ge=0, le=2**62)] = None,
) -> StreamingResponse:
    """Events after number `Last-Event-ID` (or `after`), else those from now on; each names tasks and their states."""
    asked = last_event_id if last_event_id is not None else after
    first = engine.feed.last if asked is None else asked
    return StreamingResponse(
        event_stream(engine, first),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )
