"""What the routes stand on: the engine, and the few things that only the host of it can do. Nothing else is global."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Protocol

import msgspec
from fastapi import Depends, Request
from fastapi.responses import Response

from passloop.apps.generate.file_tasks import FileTasks
from passloop.engine.drain import DownMode
from passloop.engine.engine import Engine

from .page import Page

__all__ = ["EngineHere", "Host", "HostHere", "ending", "json_reply"]


class Host(Protocol):
    """Whoever runs the engine in this process."""

    engine: Engine
    page: Page
    files: FileTasks
    declaring: asyncio.Lock

    def go_down(self, mode: DownMode) -> None:
        """Begin to go down; returns at once."""
        ...


def json_reply(document: Any, *, status: int = 200) -> Response:
    """A JSON document as a reply."""
    return Response(msgspec.json.encode(document), status_code=status, media_type="application/json")


def ending(engine: Engine) -> dict[str, bool]:
    """Said of an engine that was told to go down: what it was handed, or let go on, goes on with the next one."""
    return {"ending": True} if engine.is_ending else {}


def _host(request: Request) -> Host:
    host: Host = request.app.state.host
    return host


def _engine(request: Request) -> Engine:
    return _host(request).engine


HostHere = Annotated[Host, Depends(_host)]
EngineHere = Annotated[Engine, Depends(_engine)]
