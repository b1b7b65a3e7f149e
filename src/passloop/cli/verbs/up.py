"""`passloop up`: starts the daemon and returns when it answers. One that runs already is as good; one that was told to
go down is not, so its end is waited for.
"""

from __future__ import annotations

from typing import Any

import click

from passloop.cli import streams
from passloop.cli.client import Client
from passloop.cli.differing import say_differing
from passloop.cli.exits import CliError, Exit
from passloop.cli.homes import home_of
from passloop.cli.launching import engine_environment, start_daemon
from passloop.cli.next_engine import wait_until_ended
from passloop.cli.options import engine_options, json_option

__all__ = ["command"]


@click.command("up")
@engine_options
@json_option
@click.pass_context
def command(ctx: click.Context, *, virtual_gpus: str | None, cpus_total: str | None, as_json: bool) -> None:
    """Start the daemon; return when its socket answers. Already running is fine; one that ends is waited for."""
    client = Client(home_of(ctx))
    flags = {"virtual_gpus": virtual_gpus, "cpus_total": cpus_total}
    found = _stays(client)
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


def _stays(client: Client) -> bool:
    """Whether there is an engine that stays; the end of one that was told to go down is waited for."""
    while client.alive():
        try:
            engine = client.get("/status")["engine"]
        except CliError as gone:
            if gone.exit_code != Exit.ENGINE_UNREACHABLE or client.alive():
                raise
            return False
        if not engine.get("ending"):
            return True
        _wait_for_end(client.home, engine)
    return False


def _wait_for_end(home: str, engine: dict[str, Any]) -> None:
    pid = int(engine["pid"])
    if engine.get("attempts"):
        streams.say(f"the engine (pid {pid}) is ending; waiting for what runs, then the next one starts")
        streams.say("  to wait no longer: passloop down --leave, then passloop up, which finds what runs again")
    wait_until_ended(home, pid)
