"""`passloop report`: the table of a run on stdout, and one HTML file of it. Reads the store, with or without engine."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

import click

from passloop.apps.queue.gather import gather
from passloop.apps.queue.report import Report
from passloop.apps.queue.report_html import report_html
from passloop.cli import streams
from passloop.cli.exits import CliError, Exit
from passloop.cli.homes import home_of
from passloop.cli.options import json_option
from passloop.clock import SystemClock
from passloop.store.home import Home
from passloop.store.reader import Reader

__all__ = ["command", "run_report"]

_WIDE = 160
_NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")


@click.command("report")
@click.argument("run", default="last", metavar="[RUN]")
@click.option("--out", metavar="FILE", help="The HTML file (passloop-NAME-RUN.html here).")
@click.option("--no-html", is_flag=True, help="Print the table only.")
@json_option
@click.pass_context
def command(ctx: click.Context, *, run: str, out: str | None, no_html: bool, as_json: bool) -> None:
    """Print the results of RUN (a name, @name, an id, or `last`) and write them as one HTML file.

    Runs of the same sweep count as one: of each cell the newest task is shown.
    """
    report = run_report(ctx, run)
    page = None if no_html else _write(report, out)
    if as_json:
        streams.emit_json(_document(report, page))
    else:
        _print(report)
    if page is not None:
        streams.say(f"wrote {page}")


def run_report(ctx: click.Context, run: str) -> Report:
    """The report of `run` as it is now. Raises what the store raises, and `CliError` for a home without a store."""
    home = Home(Path(home_of(ctx)))
    if not home.path.exists():
        raise CliError(f"there is nothing in {home.path} yet", hint="passloop submit --help", exit_code=Exit.NOT_FOUND)
    home.check()
    with Reader.open(home) as reader:
        return gather(reader, home, run, made_at=SystemClock().wall())


def _print(report: Report) -> None:
    from rich.console import Console

    from passloop.apps.queue.report_text import print_report

    colour = streams.colour_wanted()
    console = Console(
        file=sys.stdout,
        force_terminal=colour,
        no_color=not colour,
        width=streams.width() or _WIDE,
        highlight=False,
        emoji=False,
        markup=False,
    )
    print_report(report, console)


def _write(report: Report, out: str | None) -> str:
    name = _NOT_IN_NAMES.sub("-", report.name).strip("-.")[:60] or "run"
    path = Path(out or f"passloop-{name}-{report.run}.html")
    try:
        path.write_text(report_html(report), encoding="utf-8")
    except OSError as error:
        hint = f"passloop report {report.run} --out FILE"
        raise CliError(f"cannot write {path}: {error.strerror}", hint=hint) from error
    return str(path)


def _document(report: Report, page: str | None) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "schema_version": 1,
        "run": {"id": report.run, "name": report.name},
        "counts": dict(report.counts),
        "ranked_by": report.ranked_by,
        "cells": [
            {
                "params": dict(cell.params),
                "tasks": [row.id for row in cell.rows],
                "succeeded": cell.succeeded,
                "metrics": {
                    name: {"mean": spread.mean, "deviation": spread.deviation, "count": spread.count}
                    for name, spread in cell.metrics.items()
                },
            }
            for cell in report.cells
        ],
        "failures": {name: [row.id for row in rows] for name, rows in report.failures.items()},
        "page": page,
    }
