"""`passloop serve`: the engine in the foreground, for systemd, a container, or to watch it."""

from __future__ import annotations

import click

from passloop.cli import streams
from passloop.cli.homes import home_of
from passloop.cli.launching import engine_environment
from passloop.cli.options import engine_options

__all__ = ["command"]


@click.command("serve")
@engine_options
@click.pass_context
def command(ctx: click.Context, *, virtual_gpus: str | None, cpus_total: str | None) -> None:
    """Be the engine in the foreground. Ctrl-C drains, again ends what runs; SIGTERM leaves it running."""
    from passloop.cli.serving import serve
    from passloop.engine.drain import DownMode

    home = home_of(ctx)
    environment = engine_environment({"virtual_gpus": virtual_gpus, "cpus_total": cpus_total})

    def on_interrupt(count: int) -> DownMode:
        if count == 1:
            streams.say("\nnothing new starts; waiting for what runs (Ctrl-C again ends it)")
            return DownMode.DRAIN
        return DownMode.NOW

    def on_ready() -> None:
        streams.say(f"the engine of {home} runs; Ctrl-C drains")

    serve(home, environment, on_ready=on_ready, on_interrupt=on_interrupt)
