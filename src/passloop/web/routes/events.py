"""GET /events and /journal: what happened, one event per committed turn: replayed and then live, or page by page."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response, StreamingResponse

from passloop.web.models.journal import journal
from passloop.web.port import EngineHere, json_reply
from passloop.web.stream import event_stream, event_text, mark_stream, ranges_text

__all__ = ["router"]

router = APIRouter(tags=["events"])
Number = Annotated[int | None, Query(ge=0, le=2**62)]


@router.get("/events", response_class=StreamingResponse)
async def events(
    engine: EngineHere,
    after: Number = None,
    last_event_id: Annotated[int | None, Header(ge=0, le=2**62)] = None,
    form: Literal["tasks", "ranges", "marks"] = "tasks",
) -> StreamingResponse:
    """Events after number `Last-Event-ID` (or `after`), else those from now on; each names tasks and their states.

    Marks have only the number of the newest turn, and come a few times a second at most.
    """
    asked = last_event_id if last_event_id is not None else after
    if form == "marks":
        stream = mark_stream(engine, engine.feed.last if asked is None else asked)
    elif form == "ranges":
        stream = event_stream(engine, asked, ranges_text, greets=True)
    else:
        stream = event_stream(engine, asked, event_text)
    return StreamingResponse(
        stream,
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


@router.get("/journal")
async def show_journal(
    engine: EngineHere,
    before: Number = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    task: Number = None,
) -> Response:
    """The newest turns and their events in short, newest first; of one task only, if it is named."""
    return json_reply(await engine.read(lambda reader: journal(reader, before=before, limit=limit, task=task)))
