"""`passloop rm`: forgets ended tasks and deletes their folders."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli.options import touch_options
from passloop.cli.touching import Choice, touch

__all__ = ["command"]


@click.command("rm")
@touch_options
@click.pass_context
def command(ctx: click.Context, /, **choice: Any) -> None:
    """Forget ended tasks and delete their logs. Live tasks are left alone."""
    touch(ctx, "rm", "removed", Choice(**choice))
