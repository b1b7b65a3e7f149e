"""POST /submit: durable when it is answered."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response

from passloop.apps.queue.convert import to_submitted
from passloop.apps.queue.parallel import limited
from passloop.apps.queue.views import document
from passloop.apps.queue.wire import decode_submission, submission_schema
from passloop.engine.engine import Engine
from passloop.kernel.ids import RunId
from passloop.web.port import EngineHere, ending, json_reply

__all__ = ["router"]

router = APIRouter(tags=["submit"])
BODY = {"requestBody": {"content": {"application/json": {"schema": submission_schema()}}, "required": True}}


@router.post("/submit", openapi_extra=BODY)
async def submit(request: Request, engine: EngineHere) -> Response:
    """Store tasks as one run, all or nothing. `existing` are those that a key had already made. `ending` is there if
    the engine was told to go down, and leaves them to the next one.
    """
    wire, limit = limited(decode_submission(await request.body()))
    submitted, environments = to_submitted(wire)
    if limit is not None:
        await engine.send(limit)
    answer = await engine.submit(submitted, environments=environments)
    name = submitted.name or await _run_name(engine, answer.run)
    return json_reply(
        document(
            run={"id": answer.run, "name": name},
            tasks=list(answer.tasks),
            existing=list(answer.existing),
            **ending(engine),
        )
    )


async def _run_name(engine: Engine, run: RunId) -> str:
    """The name that the kernel gave a run for which the client had none."""
    view = await engine.read(lambda reader: reader.run(str(run)))
    return view.row.name if view is not None else ""
