"""`passloop logs`: what a task wrote. On a terminal, codes that could play tricks on it are taken out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

import click

from passloop.cli import streams
from passloop.cli.client import Client
from passloop.cli.exits import CliError, Exit
from passloop.cli.following import Part, follow_task
from passloop.cli.lasting_reads import LastingReads
from passloop.cli.logfiles import STREAMS, attempt_folder, last_lines, pieces
from passloop.cli.picking import id_argument, one_task
from passloop.cli.reads import Reads, open_reads
from passloop.cli.terminal_text import TerminalText
from passloop.cli.wording import FINAL

__all__ = ["command", "writer"]

_PASSIVE = ("aborted", "cancelled", "rejected")
"""Ends that others bring about."""


@click.command("logs")
@id_argument
@click.option("-f", "--follow", is_flag=True, help="Go on until the task has ended.")
@click.option("--stderr", "only_stderr", is_flag=True, help="Only what it wrote to stderr, on stdout.")
@click.option("--attempt", metavar="N", type=click.IntRange(min=1), help="Of this attempt (the latest).")
@click.option("-n", "--lines", metavar="N", type=click.IntRange(min=0), help="The last N lines only.")
@click.pass_context
def command(
    ctx: click.Context,
    *,
    task: str,
    follow: bool,
    only_stderr: bool,
    attempt: int | None,
    lines: int | None,
) -> int:
    """Print the output of a task: its stdout on stdout, its stderr on stderr."""
    reads = open_reads(ctx)
    if follow and reads.running:
        reads = LastingReads(Client(reads.home).patient())
    found = reads.task(one_task(reads, task))["task"]
    wanted = ("stderr",) if only_stderr else STREAMS
    _check_attempt(found, attempt)
    if follow and found["state"] not in FINAL:
        part = Part(wanted, first=attempt or max(1, found["attempt"]), last=attempt, lines=lines)
        return _follow(reads, found["id"], part)
    if not found["attempt"]:
        streams.say(f"task {found['id']} has not started: passloop why {found['id']}")
        return int(Exit.OK)
    folder = attempt_folder(reads.home, found["run"]["id"], found["id"], attempt or found["attempt"])
    write = writer(merged=only_stderr)
    written = False
    for stream in wanted:
        path = os.path.join(folder, f"{stream}.log")
        for piece in pieces(path) if lines is None else last_lines(path, lines):
            write(stream, piece)
            written = written or bool(piece)
    if not written and lines != 0 and attempt is None:
        _say_nothing_written(found, folder)
    return int(Exit.OK)


def writer(*, merged: bool, raw: bool = False) -> Callable[[str, bytes], None]:
    """Writes pieces of output to the stream they belong to; `merged` puts all on stdout.

    Control codes do not reach a terminal unless `raw`: the output of a command that the user runs right now.
    """
    sinks = {"stdout": sys.stdout, "stderr": sys.stdout if merged else sys.stderr}
    texts = {stream: TerminalText() for stream, sink in sinks.items() if sink.isatty() and not raw}

    def write(stream: str, data: bytes) -> None:
        sink = sinks[stream]
        try:
            sink.flush()
            sink.buffer.write(texts[stream].feed(data) if stream in texts else data)
            sink.buffer.flush()
        except OSError as error:
            raise streams.unwritable(error) from None

    return write


def _follow(reads: Reads, task: int, part: Part) -> int:
    if not reads.running:
        raise CliError(
            f"task {task} cannot be followed: no engine is running",
            hint="passloop up",
            exit_code=Exit.ENGINE_UNREACHABLE,
        )
    try:
        follow_task(Client(reads.home).patient(), task, writer(merged=part.streams == ("stderr",)), part=part)
    except KeyboardInterrupt:
        streams.say(f"task {task} goes on: passloop wait {task}; to end it: passloop cancel {task}")
        return int(Exit.INTERRUPTED)
    return int(Exit.OK)


def _say_nothing_written(task: dict[str, Any], folder: str) -> None:
    """A task that could not even start wrote nothing: what is known of it is elsewhere. A store that was put back may
    know tasks whose files are gone.
    """
    attempts = task.get("attempts") or [{}]
    if attempts[-1].get("driver") == "processes" and task["state"] in FINAL and not os.path.isdir(folder):
        streams.say(f"the files of task {task['id']} are gone: {streams.clean(folder)}")
        return
    message = streams.clean(str(task.get("message") or ""))
    if task["state"] in FINAL and message:
        was = "was " * (task["state"] in _PASSIVE)
        streams.say(f"task {task['id']} wrote nothing here and {was}{task['state']}: {message}")


def _check_attempt(task: dict[str, Any], attempt: int | None) -> None:
    if attempt is not None and attempt > task["attempt"]:
        raise CliError(
            f"task {task['id']} has no attempt {attempt}; it had {task['attempt']}",
            hint=f"passloop show {task['id']}",
            exit_code=Exit.NOT_FOUND,
        )
