"""GET /healthz and /metrics: whether the engine answers, and its figures as Prometheus reads them."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from passloop.web.figures import figures_of, metrics_text
from passloop.web.port import EngineHere, json_reply

__all__ = ["router"]

router = APIRouter(tags=["engine"])
TEXT = "text/plain; version=0.0.4; charset=utf-8"


@router.get("/healthz")
async def healthz(engine: EngineHere) -> Response:
    """The engine's state; 503 if it can store nothing."""
    state = engine.status().state
    return json_reply({"status": state}, status=503 if state.startswith("paused") else 200)


@router.get("/metrics")
async def metrics(engine: EngineHere) -> Response:
    """Tasks, devices, pools, turns and attempts. Labels are states, GPUs and pools: few, whatever there is to do."""
    counts = await engine.read(lambda reader: reader.counts())
    seq = await engine.read(lambda reader: reader.last_seq())
    looked = await engine.look(lambda machine, now: (machine.devices(), machine.pools(now)))
    text = metrics_text(figures_of(engine.status(), counts, seq, devices=looked[0], pools=looked[1]))
    return Response(text, media_type=TEXT)
