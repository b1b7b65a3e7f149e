"""GET /runs: submissions and how far they are."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from passloop.web import read_models
from passloop.web.port import EngineHere, json_reply

__all__ = ["router"]

router = APIRouter(tags=["runs"])


@router.get("/runs")
async def list_runs(
    engine: EngineHere,
    limit: Annotated[int | None, Query(ge=0, le=10**9)] = None,
    before: Annotated[int | None, Query(ge=1, le=2**62)] = None,
) -> Response:
    """The newest runs with an id under `before`, newest first."""
    return json_reply(await engine.read(lambda reader: read_models.runs(reader, limit=limit, before=before)))


@router.get("/runs/{run}")
async def show_run(engine: EngineHere, run: str) -> Response:
    """One run, by id, or the newest of a name. Of one with a source, why no more of it is written out, too."""
    found = await engine.read(lambda reader: read_models.run_named(reader, run))
    if "source" in found["run"]:
        statuses = await engine.look(lambda machine, _: machine.sources())
        found["run"]["source"] |= read_models.source_status(found["run"]["id"], statuses)
    return json_reply(found)
