"""`passloop retry`: submits ended tasks again, as new tasks of the same run."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli.exits import CliError, Exit
from passloop.cli.homes import client_of
from passloop.cli.options import touch_options
from passloop.cli.reads import Ask, EngineReads
from passloop.cli.touching import Choice, touch
from passloop.cli.wording import ids_text

__all__ = ["command"]


@click.command("retry")
@touch_options
@click.option(
    "--class", "error_class", metavar="CLASS", help="Only those that failed so: run_oom, network, timeout, ..."
)
@click.pass_context
def command(ctx: click.Context, /, *, error_class: str | None, **choice: Any) -> None:
    """Submit ended tasks again."""
    chosen = Choice(**choice)
    touch(ctx, "retry", "retried", chosen if error_class is None else _of_class(ctx, chosen, error_class))


def _of_class(ctx: click.Context, choice: Choice, wanted: str) -> Choice:
    """Of the chosen tasks those that ended with this outcome, or whose cell said that it failed so."""
    from passloop.apps.bench.results import error_of_task

    reads = EngineReads(client_of(ctx))
    tasks = reads.tasks(Ask(choice.words() or ("state:failed",)))["tasks"]
    ended = [task for task in tasks if task["outcome"] is not None and task["state"] != "succeeded"]
    found = [task["id"] for task in ended if wanted in (task["outcome"], error_of_task(task)[0])]
    if not found:
        raise CliError(f"none of these tasks failed as {wanted}", hint="passloop ls --failed", exit_code=Exit.NOT_FOUND)
    return choice._replace(selectors=tuple(ids_text(found).split()), failed=False, group=None)
