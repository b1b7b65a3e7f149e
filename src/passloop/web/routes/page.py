"""POST /page: a new address that opens the page once. Whoever may ask this may do everything anyway."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from passloop.apps.queue.views import document
from passloop.engine.errors import NotFound
from passloop.web.port import HostHere, json_reply

__all__ = ["router"]

router = APIRouter(tags=["engine"])


@router.post("/page")
async def one_time_url(host: HostHere) -> Response:
    """An address that sets the page's cookie, once, within ten minutes."""
    made = host.page.one_time_url()
    if made is None:
        raise NotFound(f"the engine serves no page: {host.page.absent}", hint="passloop config")
    return json_reply(document(url=made.url, expires_at=made.expires_at))
