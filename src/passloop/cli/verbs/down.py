"""`passloop down`: ends the engine, gently unless told otherwise. It never starts one."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli import streams
from passloop.cli.client import Client
from passloop.cli.exits import CliError, Exit
from passloop.cli.homes import client_of
from passloop.cli.next_engine import wait_for_owner, wait_until_ended
from passloop.cli.options import json_option

__all__ = ["command"]

_LEFT = {
    "drain": "nothing was running any more",
    "leave": "what runs goes on and is found again by the next engine",
    "now": "whatever ran is ready again",
}


@click.command("down")
@click.option("--leave", is_flag=True, help="Leave running work to the next engine.")
@click.option("--now", is_flag=True, help="End running work; it goes back to ready at no cost.")
@json_option
@click.pass_context
def command(ctx: click.Context, *, leave: bool, now: bool, as_json: bool) -> None:
    """Stop the engine when what runs has ended; --leave leaves it running, --now ends it."""
    if leave and now:
        raise CliError("--leave and --now exclude each other", hint="passloop down --help")
    client = client_of(ctx)
    mode = "leave" if leave else "now" if now else "drain"
    engine = _engine(client)
    pid = None if engine is None else int(engine["pid"])
    if engine is not None:
        _end(client, engine, mode)
    if as_json:
        streams.emit_json({"schema_version": 1, "mode": mode if pid else None, "pid": pid})
    elif pid is None:
        streams.emit(f"no engine is running for {client.home}")
    else:
        streams.emit(f"the engine of {client.home} has ended; {_LEFT[mode]}")


def _engine(client: Client) -> dict[str, Any] | None:
    """The home's engine; None if there is none, after the end of an owner that answers no more."""
    while True:
        try:
            engine: dict[str, Any] = client.get("/status", timeout=60)["engine"]
            return engine
        except CliError as lacking:
            if lacking.exit_code != Exit.ENGINE_UNREACHABLE or client.alive():
                raise
        if not wait_for_owner(client.home):
            return None


def _end(client: Client, engine: dict[str, Any], mode: str) -> None:
    """Ask for the end and wait for it."""
    pid = int(engine["pid"])
    try:
        if mode == "drain" and engine.get("attempts"):
            streams.say("waiting for what runs (passloop down --leave does not wait, --now ends it)")
        _ask(client, mode)
        wait_until_ended(client.home, pid)
    except KeyboardInterrupt:
        streams.say(f"the engine (pid {pid}) goes on ending by itself; passloop down --leave ends it at once")
        raise


def _ask(client: Client, mode: str) -> None:
    """The engine may be gone before it has answered; that is what was asked for."""
    try:
        client.post("/down", {"mode": mode})
    except CliError as gone:
        if gone.exit_code != Exit.ENGINE_UNREACHABLE:
            raise
