"""`passloop up`: starts the daemon and returns when it answers. One that runs already is as good."""

from __future__ import annotations

import click

from passloop.cli import streams
from passloop.cli.client import Client
from passloop.cli.differing import say_differing
from passloop.cli.homes import home_of
from passloop.cli.launching import engine_environment, start_daemon
from passloop.cli.options import engine_options, json_option

__all__ = ["command"]


@click.command("up")
@engine_options
@json_option
@click.pass_context
def command(ctx: click.Context, *, virtual_gpus: str | None, cpus_total: str | None, as_json: bool) -> None:
    """Start the daemon; return when its socket answers. Already running is fine."""
    client = Client(home_of(ctx))
    flags = {"virtual_gpus": virtual_gpus, "cpus_total": cpus_total}
    found = client.alive()
    if not found:
        found = bool(start_daemon(client.home, engine_environment(flags)).get("found"))
    answer = client.get("/status")
    engine = answer["engine"]
    if as_json:
        streams.emit_json(answer)
    else:
        word = "runs already" if found else "runs"
        streams.emit(f"the engine of {client.home} {word} (pid {engine['pid']})")
    if found:
        say_differing(engine, flags)
