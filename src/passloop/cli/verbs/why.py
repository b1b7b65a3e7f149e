"""`passloop why`: the blockers of a task as sentences. The engine's reason engine decides them, nobody here."""

from __future__ import annotations

from typing import Any

import click

from passloop.cli import streams
from passloop.cli.options import json_option
from passloop.cli.picking import id_argument, one_task
from passloop.cli.reads import open_reads
from passloop.cli.run_whys import emit_run_why, run_why
from passloop.cli.spans import local_time
from passloop.cli.wording import FINAL, STATE_COLOURS, ids_text, result_text, state_text

__all__ = ["command"]

_NAMED = 4
"""How many holders the sentence itself names."""


@click.command("why")
@id_argument
@json_option
@click.pass_context
def command(ctx: click.Context, *, task: str, as_json: bool) -> None:
    """Say why a task does not run, with numbers, and what would change that; of @RUN, what its tasks wait for."""
    reads = open_reads(ctx)
    run = run_why(reads, task)
    if run is not None:
        streams.emit_json(run) if as_json else emit_run_why(run, running=reads.running)
        return
    number = one_task(reads, task)
    answer = reads.why(number)
    if as_json:
        streams.emit_json(answer)
        return
    state = answer["state"]
    streams.emit(f"task {number} {streams.paint(state_text(state), STATE_COLOURS.get(state, ''))}")
    for blocker in answer["blockers"]:
        _emit_blocker(blocker)
    if not answer["blockers"]:
        _emit_end(reads.task(number)["task"])


def _emit_blocker(blocker: dict[str, Any]) -> None:
    streams.emit(f"  {streams.clean(blocker['sentence'])}")
    if len(blocker.get("holders") or ()) > _NAMED:
        streams.emit(f"    held by: {ids_text(blocker['holders'])}")
    if blocker.get("until"):
        streams.emit(f"    expected: {local_time(blocker['until'])}")


def _emit_end(task: dict[str, Any]) -> None:
    text = streams.clean(str(task.get("message") or "") or result_text(task))
    if task["state"] in FINAL and text:
        streams.emit(f"  {text}")
    if task["state"] == "failed" and task.get("attempt"):
        streams.say(f"  see: passloop logs {task['id']} --stderr")
