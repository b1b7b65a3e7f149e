"""GET /tasks and what hangs on one task: its attempts, and why it does not run."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from passloop.apps.queue.views import why_view
from passloop.engine.errors import NotFound
from passloop.kernel.ids import TaskId
from passloop.web import read_models
from passloop.web.listing import PIECE, task_pieces
from passloop.web.port import EngineHere, json_reply

__all__ = ["router"]

router = APIRouter(tags=["tasks"])
Words = Annotated[list[str], Query()]
Id = Annotated[int, Query(ge=1, le=2**62)]


@router.get("/tasks")
async def list_tasks(
    engine: EngineHere,
    select: Words = [],  # noqa: B006
    state: str | None = None,
    group: str | None = None,
    limit: Annotated[int | None, Query(ge=0, le=10**9)] = None,
    before: Id | None = None,
) -> Response:
    """The newest `limit` tasks selected, oldest first; all of them without a limit. `total` is how many there are."""
    words = [*select, *_property("state", state), *_property("group", group)]
    if limit is not None and limit <= PIECE:
        return json_reply(
            await engine.read(lambda reader: read_models.listed(reader, words, limit=limit, before=before))
        )
    ids, total = await engine.read(lambda reader: read_models.chosen(reader, words, limit=limit, before=before))
    return StreamingResponse(task_pieces(engine, ids, total=total), media_type="application/json")


@router.get("/tasks/{task}")
async def show_task(engine: EngineHere, task: int) -> Response:
    """One task with its attempts."""
    return json_reply(await engine.read(lambda reader: read_models.shown(reader, task, engine.home)))


@router.get("/tasks/{task}/why")
async def why_task(engine: EngineHere, task: int) -> Response:
    """Why a task does not run, as data and in sentences."""
    view = await engine.read(lambda reader: reader.task(task))
    if view is None:
        raise NotFound(f"there is no task {task}", hint="passloop ls")
    blockers = await engine.look(lambda machine, now: machine.explain(TaskId(task), now))
    return json_reply(why_view(view.row, blockers))


def _property(kind: str, value: str | None) -> list[str]:
    return [] if value is None else [f"{kind}:{value}"]
