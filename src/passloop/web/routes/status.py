"""GET /status: the engine itself."""

from __future__ import annotations

import os

from fastapi import APIRouter
from fastapi.responses import Response

from passloop.apps.queue.views import document
from passloop.apps.settings import ENGINE_SETTINGS
from passloop.clock import iso_utc
from passloop.web.models.now import lying_workers
from passloop.web.port import HostHere, json_reply
from passloop.web.version import version

__all__ = ["router"]

router = APIRouter(tags=["engine"])


@router.get("/status")
async def status(host: HostHere) -> Response:
    """Who the engine is and how it is: `running`, `draining`, `stopping`, or `paused: <why>`."""
    engine = host.engine
    now, told = engine.status(), engine.settings.environ
    counts = await engine.read(lambda reader: reader.counts())
    about = {
        "pid": os.getpid(),
        "state": now.state,
        "ending": engine.is_ending,
        "version": version(),
        "home": str(engine.home.path),
        "home_id": engine.store.home_id,
        "started_at": iso_utc(now.started_at),
        "page": host.page.url,
        "page_absent": host.page.absent or None,
        "settings": {one.variable: text for one in ENGINE_SETTINGS if (text := told.get(one.variable))},
        "attempts": now.attempts,
        "turns": now.turns,
        "passes": now.passes,
        "counts": counts,
        "drivers": {name: dict(driver.statistics()) for name, driver in engine.drivers.items()},
    }
    workers = await engine.look(lambda machine, _now: lying_workers(machine))
    return json_reply(document(engine=about, workers=workers))
