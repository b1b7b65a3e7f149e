"""`passloop submit`: stores tasks durably and returns; the daemon is started if no engine runs."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli import streams
from passloop.cli.homes import home_of
from passloop.cli.launching import client_with_engine
from passloop.cli.options import command_argument, engine_options, json_option, task_options
from passloop.cli.submitting import post_submission, request_of
from passloop.cli.wording import counted, ids_text

__all__ = ["command"]


@click.command("submit", context_settings={"allow_interspersed_args": False})
@task_options
@click.option("--hold", "held", is_flag=True, help="Held until `passloop release`.")
@engine_options
@json_option
@command_argument
@click.pass_context
def command(
    ctx: click.Context,
    /,
    *,
    words: tuple[str, ...],
    held: bool,
    virtual_gpus: str | None,
    cpus_total: str | None,
    as_json: bool,
    **said: Any,
) -> None:
    """Queue a command, an array or a sweep. When this returns, it is on disk.

    \b
    passloop submit -g 1 --time-limit 2h -- python train.py
    passloop submit --array 1-100 -- ./cell {index}
    passloop submit sweep.yaml
    """
    home = home_of(ctx)
    request = request_of(words, said, home=home, held=held)
    flags = {"virtual_gpus": virtual_gpus, "cpus_total": cpus_total}
    answer = post_submission(client_with_engine(home, flags), request)
    if as_json:
        streams.emit_json({name: answer[name] for name in ("schema_version", "run", "tasks")})
        return
    streams.emit(ids_text(answer["tasks"]))
    _say_existing(answer)


def _say_existing(answer: dict[str, Any]) -> None:
    existing, tasks = answer.get("existing") or [], answer["tasks"]
    if len(tasks) > 1:
        run = answer["run"]
        streams.say(f"{counted(len(tasks), 'task')} in run {run['id']} ({streams.clean(run['name'])})")
    if existing:
        streams.say(f"{counted(len(existing), 'task')} of them were there already, by key: {ids_text(existing)}")
