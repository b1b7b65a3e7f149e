"""`passloop release`: tasks by selector, or with --group alone a whole group and what is put into it later."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli.options import touch_options
from passloop.cli.touching import Choice, touch, touch_group

__all__ = ["command"]


@click.command("release")
@touch_options
@click.pass_context
def command(ctx: click.Context, /, **choice: Any) -> None:
    """Let held tasks go on; --group alone releases the group and the tasks held in it."""
    chosen = Choice(**choice)
    if chosen.whole_group and not chosen.dry_run:
        touch_group(ctx, "release", "released", chosen)
    else:
        touch(ctx, "release", "released", chosen)
