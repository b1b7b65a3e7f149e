"""POST /plan, /specs, /commands and GET /schema: new work, looked at before it is handed in.

What reads specs and options is imported when somebody hands something in: an engine starts without it.
"""

from __future__ import annotations

import asyncio
import os
from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field

from passloop.apps.errors import Problem, SpecError
from passloop.web.own_commands import OwnCommands
from passloop.web.port import EngineHere, json_reply

__all__ = ["router"]

router = APIRouter(tags=["new"])
LARGEST = 2**19
Directory = Annotated[str, Field(max_length=4_096)]
Word = Annotated[str, Field(max_length=100_000)]


class SpecText(BaseModel):
    """A spec as text, and the directory in which its commands run and that its paths are relative to."""

    model_config = ConfigDict(extra="forbid")
    text: Annotated[str, Field(max_length=LARGEST)]
    cwd: Directory | None = None


class Command(BaseModel):
    """A command as a list of words, with options as `passloop submit` has them; `dry` only looks."""

    model_config = ConfigDict(extra="forbid")
    words: Annotated[list[Word], Field(min_length=1, max_length=10_000)]
    options: Annotated[dict[str, Any], Field(max_length=100)] = {}
    cwd: Directory | None = None
    dry: bool = False


@router.post("/plan")
async def plan_spec(request: Request, engine: EngineHere, body: SpecText) -> Response:
    """What a spec would do, or everything that is wrong with it, with line and column. Submits nothing."""
    from passloop.web.models.specs import plan

    cwd = await _directory(body.cwd)
    return json_reply(await plan(_commands(request, engine), body.text, cwd))


@router.post("/specs")
async def submit_spec(request: Request, engine: EngineHere, body: SpecText) -> Response:
    """Hand in a spec of any kind; answered when its run is there."""
    from passloop.web.models.specs import hand_in

    cwd = await _directory(body.cwd)
    return json_reply(await hand_in(engine, _commands(request, engine), body.text, cwd))


@router.post("/commands")
async def submit_command(engine: EngineHere, body: Command) -> Response:
    """Hand in a command, or look at what it would be."""
    from passloop.web.models.command import CommandAsk, hand_in_command, look_at_command, wanted_of

    cwd = await _directory(body.cwd)
    wanted = await asyncio.to_thread(wanted_of, engine, CommandAsk(body.words, body.options, cwd))
    return json_reply(await (look_at_command if body.dry else hand_in_command)(engine, wanted))


@router.get("/schema/{kind}")
async def show_schema(request: Request, engine: EngineHere, kind: Annotated[str, Path(max_length=20)]) -> Response:
    """The JSON Schema of a kind of spec: run, bench, tune, generate; or wire, the body of a submission."""
    from passloop.web.models.specs import schema

    return json_reply(await schema(_commands(request, engine), kind))


def _commands(request: Request, engine: EngineHere) -> OwnCommands:
    """One for each application, made when it is first asked for."""
    state = request.app.state
    if not hasattr(state, "commands"):
        state.commands = OwnCommands(engine)
    commands: OwnCommands = state.commands
    return commands


async def _directory(cwd: str | None) -> str | None:
    """A directory that is there. Raises `SpecError`."""
    if cwd is None or cwd == "":
        return None
    return await asyncio.to_thread(_existing, cwd)


def _existing(cwd: str) -> str:
    path = os.path.expanduser(cwd)
    try:
        there = os.path.isabs(path) and os.path.isdir(path)
    except ValueError:
        there = False
    if not there:
        raise SpecError([Problem("the directory does not exist", "give one that does, from / on", "cwd")])
    return path
