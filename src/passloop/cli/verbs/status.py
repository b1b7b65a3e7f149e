"""`passloop status`: the engine and what it is doing. Exit 5 when there is none."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli import streams
from passloop.cli.client import no_engine
from passloop.cli.homes import client_of
from passloop.cli.options import json_option
from passloop.cli.parked import worker_lines
from passloop.cli.spans import local_time

__all__ = ["command"]


@click.command("status")
@json_option
@click.pass_context
def command(ctx: click.Context, *, as_json: bool) -> None:
    """Show the engine, its home and how many tasks are in which state."""
    client = client_of(ctx)
    if not client.alive():
        if as_json:
            streams.emit_json({"schema_version": 1, "engine": None})
        raise no_engine(client.home)
    answer = client.get("/status", timeout=60)
    if as_json:
        streams.emit_json(answer)
        return
    _show(answer)


def _show(answer: dict[str, Any]) -> None:
    engine = answer["engine"]
    streams.emit(f"engine   {engine['state']}, pid {engine['pid']}, version {engine.get('version', '')}")
    streams.emit(f"home     {engine['home']}")
    streams.emit(f"since    {local_time(engine.get('started_at'))}")
    if engine.get("page"):
        streams.emit(f"page     {engine['page']}")
    settings = engine.get("settings") or {}
    if settings:
        told = "  ".join(f"{name}={value}" for name, value in settings.items())
        streams.emit(f"settings {streams.clean(told)}")
    counts = engine.get("counts") or {}
    if counts:
        streams.emit("tasks    " + ", ".join(f"{number} {state}" for state, number in counts.items() if number))
    for line in worker_lines(answer.get("workers") or ()):
        streams.emit(line)
