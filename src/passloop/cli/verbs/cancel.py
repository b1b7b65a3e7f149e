"""`passloop cancel`: ends tasks for good. The engine sees to it that whole process trees are gone."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli import streams
from passloop.cli.client import Client
from passloop.cli.options import touch_options
from passloop.cli.spans import clock_in
from passloop.cli.touching import Choice, touch
from passloop.cli.wording import counted, ids_text

__all__ = ["command"]

_ASKED = 20
"""So many tasks are asked for their grace, each on its own."""


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
    touch(ctx, "cancel", "cancelled", Choice(**choice), extra, first=_tell_stopping)


def _tell_stopping(client: Client, changed: list[int]) -> list[int]:
    """Say which of these tasks still have their grace, and until when; they are cancelled once they have ended."""
    if not changed:
        return []
    listed = client.get("/tasks", [("select", "state:stopping")])["tasks"]
    stopping = sorted({task["id"] for task in listed} & set(changed))
    if stopping:
        graces = [client.get(f"/tasks/{task}")["task"]["grace_ms"] for task in stopping[:_ASKED]]
        until = f"until {clock_in(max(graces))} to end, then {'it is' if len(stopping) == 1 else 'they are'} killed"
        has = "has" if len(stopping) == 1 else "have"
        streams.emit(f"stopping {counted(len(stopping), 'task')}: {ids_text(stopping)} ({has} {until})")
    return stopping
