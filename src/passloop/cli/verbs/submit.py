"""`passloop submit`: stores tasks durably and returns; the daemon is started if no engine runs.

Its plain forms are read by `quick`; this is what click makes of the others, and the help.
"""

from __future__ import annotations

from typing import Any

import click

from passloop.cli.homes import home_of
from passloop.cli.options import command_argument, submit_options
from passloop.cli.quick import submit

__all__ = ["command"]


@click.command("submit", context_settings={"allow_interspersed_args": False})
@submit_options
@command_argument
@click.pass_context
def command(ctx: click.Context, /, *, words: tuple[str, ...], **said: Any) -> int:
    """Queue a command, an array or a sweep. When this returns, it is on disk.

    \b
    passloop submit -g 1 --time-limit 2h -- python train.py
    passloop submit --array 1-100 -- ./cell {index}
    passloop submit sweep.yaml
    """
    return submit(home_of(ctx), words, said)
