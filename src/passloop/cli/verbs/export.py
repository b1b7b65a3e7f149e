"""`passloop export`: the results of a run as CSV, JSON lines or Parquet, to a file or to stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO

import click

from passloop.cli import streams
from passloop.cli.completing import complete_selectors
from passloop.cli.exits import CliError
from passloop.cli.homes import home_of

__all__ = ["command"]

_FORMATS = ("csv", "jsonl", "parquet")
_OF_DATASETS = "hf"
_STDOUT = "-"


@click.command("export")
@click.argument("run", default="last", metavar="[RUN]", shell_complete=complete_selectors)
@click.option(
    "--format",
    "kind",
    type=click.Choice([*_FORMATS, _OF_DATASETS]),
    help="By the file's ending, else csv; hf for datasets.",
)
@click.option("-o", "--out", metavar="FILE", help="Write here; - is stdout, as without it.")
@click.option("--optuna", metavar="FILE", help="Of a study: write it as Optuna keeps studies (SQLite).")
@click.pass_context
def command(ctx: click.Context, *, run: str, kind: str | None, out: str | None, optuna: str | None) -> None:
    """Write one line per task of a run (an id, a name or last), or the rows of a dataset in another form."""
    from passloop.cli.source_kinds import kind_of_run

    home, out = home_of(ctx), None if out == _STDOUT else out
    made_by = kind_of_run(home, run)
    if made_by == "tune":
        from passloop.cli.tune_results import export_study, study_of_run

        export_study(home, study_of_run(home, run), out, kind, optuna=optuna)
    elif optuna is not None:
        raise CliError("only a study is kept as Optuna keeps them", hint="passloop export RUN --format csv")
    elif made_by == "generate":
        from passloop.cli.generate_results import export_run

        export_run(home, run, out, kind)
    else:
        _export_tasks(home, run, out, kind)


def _export_tasks(home: str, run: str, out: str | None, kind: str | None) -> None:
    from passloop.apps.errors import BadValue
    from passloop.apps.queue.export import ExportFormat, write_export
    from passloop.cli.reporting import report_of

    if kind == _OF_DATASETS:
        raise CliError("hf is a form of datasets alone", hint="passloop export --format jsonl -o FILE")
    chosen = ExportFormat(kind or _by_ending(out))
    if out is None and chosen is ExportFormat.PARQUET and sys.stdout.isatty():
        raise CliError("Parquet is not for a terminal", hint="passloop export --format parquet -o results.parquet")
    report = report_of(home, run)
    try:
        if out is None:
            _to_stdout(lambda file: write_export(report, chosen, file))
            return
        _to_file(out, lambda file: write_export(report, chosen, file))
    except BadValue as bad:
        raise CliError(bad.what, hint=bad.fix) from None
    streams.say(f"written: {out}")


def _by_ending(out: str | None) -> str:
    """The format that a file's ending names; CSV for stdout and a file without an ending."""
    ending = Path(out or "").suffix.removeprefix(".").lower()
    if ending and ending not in _FORMATS:
        known = ", ".join(f".{one}" for one in _FORMATS)
        what = f"{streams.clean(str(out))}: the ending .{streams.clean(ending)} names no format (known: {known})"
        raise CliError(what, hint="name the format: passloop export --format csv -o FILE")
    return ending or "csv"


def _to_stdout(write: Callable[[IO[bytes]], None]) -> None:
    try:
        write(sys.stdout.buffer)
    except OSError as refused:
        raise streams.unwritable(refused) from None


def _to_file(path: str, write: Callable[[IO[bytes]], None]) -> None:
    from passloop.cli.whole_files import whole_file

    try:
        with whole_file(Path(path)) as file:
            write(file)
    except OSError as refused:
        what = f"{streams.clean(path)} cannot be written: {refused.strerror}"
        raise CliError(what, hint="passloop export --out FILE") from None
