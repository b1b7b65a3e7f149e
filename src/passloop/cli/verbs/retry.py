"""`passloop retry`: submits ended tasks again, as new tasks of the same run."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli.options import touch_options
from passloop.cli.touching import Choice, touch

__all__ = ["command"]


@click.command("retry")
@touch_options
@click.pass_context
def command(ctx: click.Context, /, **choice: Any) -> None:
    """Submit ended tasks again."""
    touch(ctx, "retry", "retried", Choice(**choice))
