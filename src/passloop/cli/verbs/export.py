"""`passloop export`: the tasks of a run as CSV, JSON lines or Parquet, to a file or to stdout."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from passloop.apps.errors import BadValue
from passloop.apps.queue.export import ExportFormat, write_export
from passloop.apps.queue.report import Report
from passloop.cli import streams
from passloop.cli.exits import CliError
from passloop.cli.verbs.report import run_report

__all__ = ["command"]


@click.command("export")
@click.argument("run", default="last", metavar="[RUN]")
@click.option(
    "--format", "kind", type=click.Choice([kind.value for kind in ExportFormat]), help="Else by FILE's ending."
)
@click.option("--out", default="-", metavar="FILE", help="Where to; `-` is stdout.")
@click.pass_context
def command(ctx: click.Context, *, run: str, kind: str | None, out: str) -> None:
    """Write one line per task of RUN (a name, @name, an id, or `last`): parameters, results, times."""
    chosen = ExportFormat(kind) if kind else _by_ending(out)
    if out == "-" and chosen is ExportFormat.PARQUET and sys.stdout.isatty():
        raise CliError("Parquet is not for a terminal", hint=f"passloop export {run} --out run.parquet")
    report = run_report(ctx, run)
    try:
        _write(report, chosen, out)
    except BadValue as bad:
        raise CliError(bad.what, hint=bad.fix) from bad


def _by_ending(out: str) -> ExportFormat:
    ending = Path(out).suffix.removeprefix(".").lower()
    return ExportFormat(ending) if ending in {kind.value for kind in ExportFormat} else ExportFormat.CSV


def _write(report: Report, kind: ExportFormat, out: str) -> None:
    if out == "-":
        sys.stdout.flush()
        write_export(report, kind, sys.stdout.buffer)
        return
    try:
        with Path(out).open("wb") as file:
            write_export(report, kind, file)
    except OSError as error:
        raise CliError(f"cannot write {out}: {error.strerror}", hint="name a folder that exists") from error
    streams.say(f"wrote {out}")
