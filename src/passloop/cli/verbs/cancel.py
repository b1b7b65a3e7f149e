"""`passloop cancel`: ends tasks for good. The engine sees to it that whole process trees are gone."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli.options import touch_options
from passloop.cli.touching import Choice, touch

__all__ = ["command"]


@click.command("cancel")
@touch_options
@click.option("--reason", metavar="TEXT", help="Kept with the tasks.")
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    reason: str | None,
    **choice: Any,
) -> None:
    """Cancel tasks: queued ones at once, running ones politely, then surely."""
    extra = {"reason": reason} if reason else {}
    touch(ctx, "cancel", "cancelled", Choice(**choice), extra)
