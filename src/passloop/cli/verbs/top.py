"""`passloop top`: what runs, what waits and why, on a terminal screen that follows the engine."""

from __future__ import annotations

import sys

import click

from passloop.cli.client import no_engine
from passloop.cli.exits import CliError
from passloop.cli.homes import client_of

__all__ = ["command"]


@click.command("top")
@click.pass_context
def command(ctx: click.Context) -> None:
    """Show GPUs, tasks and pools live. Keys: c cancel, h hold, r release, t try again, q leave."""
    client = client_of(ctx)
    try:
        from passloop.cli.top_app import Top
    except ImportError as missing:
        if (missing.name or "").partition(".")[0] != "textual":
            raise
        raise CliError("top needs textual, which is not installed", hint="pip install 'passloop[top]'") from None
    if not sys.stdout.isatty():
        raise CliError("top wants a terminal", hint="passloop status")
    if not client.alive():
        raise no_engine(client.home)
    Top(client.home).run()
