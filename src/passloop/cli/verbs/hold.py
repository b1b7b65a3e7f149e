"""`passloop hold`: tasks by selector, or with --group alone a whole group and what is put into it later."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli.options import touch_options
from passloop.cli.touching import Choice, touch, touch_group

__all__ = ["command"]


@click.command("hold")
@touch_options
@click.pass_context
def command(ctx: click.Context, /, **choice: Any) -> None:
    """Hold tasks back until they are released; --group alone holds the group, later tasks too."""
    chosen = Choice(**choice)
    if chosen.whole_group and not chosen.dry_run:
        touch_group(ctx, "hold", "held", chosen)
    else:
        touch(ctx, "hold", "held", chosen)
