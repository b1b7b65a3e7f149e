"""`passloop priority`: gives tasks another priority; higher goes first."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli.exits import CliError
from passloop.cli.options import touch_options
from passloop.cli.touching import Choice, touch

__all__ = ["command"]

_MOST = 1_000_000


@click.command("priority")
@touch_options
@click.pass_context
def command(ctx: click.Context, /, **choice: Any) -> None:
    """Give tasks a priority: `priority 42 10`. Higher goes first; below 0: `priority -- 42 -5`.

    The last word is the priority, all others are selectors.
    """
    *selectors, last = choice["selectors"] or ("",)
    try:
        priority = int(last)
    except ValueError:
        raise CliError(f"{last!r} is no priority", hint="passloop priority 42 10") from None
    if abs(priority) > _MOST:
        raise CliError(f"the priority {priority} is too large", hint=f"use one within {_MOST:,} of 0")
    chosen = Choice(**{**choice, "selectors": tuple(selectors)})
    touch(ctx, "priority", f"priority {priority} for", chosen, {"priority": priority})
