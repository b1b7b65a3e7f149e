"""`passloop rm`: forgets ended tasks and deletes their folders."""

from __future__ import annotations

from functools import partial
from typing import Any

import click

from passloop.cli import streams
from passloop.cli.options import touch_options
from passloop.cli.reads import EngineReads
from passloop.cli.touching import Choice, touch
from passloop.cli.wording import FINAL, counted

__all__ = ["command"]


@click.command("rm")
@touch_options
@click.option("--answers", is_flag=True, help="Also what datasets and studies go on from, by whatever selector.")
@click.pass_context
def command(ctx: click.Context, /, *, answers: bool, **choice: Any) -> None:
    """Forget ended tasks and delete their logs. Live tasks are left alone.

    So are answers of datasets and results of studies, and their failed tries, unless their run (@RUN) or their ids are
    named: what was forgotten is asked for, and paid for, again where it is wanted, and what it cost is counted no more.
    """
    chosen = Choice(**choice)
    leaves = None if answers else partial(_left, chosen.words())
    touch(ctx, "rm", "removed", chosen, {"answers": True} if answers else None, leaves=leaves)


def _left(words: tuple[str, ...], reads: EngineReads, tasks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Of these tasks what would be left; says why, or what would be lost."""
    from passloop.apps.queue.kept_results import GO_ON, PAID_AGAIN, WHY_LEFT, is_kept, is_named
    from passloop.apps.queue.selectors import parse_selectors

    runs = {run["id"] for run in reads.runs()["runs"] if run["kind"] in GO_ON}
    ended = (task for task in tasks if task["state"] in FINAL and task["run"]["id"] in runs)
    kept = [task for task in ended if is_kept(task["state"], attempts=task["attempt"], key=task["key"])]
    is_asked = is_named(parse_selectors(words))
    if kept:
        streams.say(f"{counted(len(kept), 'task')}: {PAID_AGAIN if is_asked else WHY_LEFT}")
    return [] if is_asked else kept
