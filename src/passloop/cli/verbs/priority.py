"""`passloop priority`: gives tasks another priority; higher goes first."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli.options import touch_options
from passloop.cli.touching import Choice, touch

__all__ = ["command"]


@click.command("priority")
@click.argument("priority", type=int, metavar="N")
@touch_options
@click.pass_context
def command(ctx: click.Context, /, *, priority: int, **choice: Any) -> None:
    """Give tasks the priority N; higher goes first, below 0: passloop priority -- -5 12."""
    touch(ctx, "priority", f"priority {priority} for", Choice(**choice), {"priority": priority})
