"""`passloop report`: the table of a run on the terminal, and everything about it in one HTML file."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from passloop.cli import streams
from passloop.cli.completing import complete_selectors
from passloop.cli.exits import CliError
from passloop.cli.homes import home_of

__all__ = ["command"]

_UNBOUNDED = 1_000_000
"""Columns for a reader that has no screen: what belongs on one line stays on it."""


@click.command("report")
@click.argument("run", default="last", metavar="[RUN]", shell_complete=complete_selectors)
@click.option("-o", "--out", metavar="FILE", help="Where the HTML goes (passloop-report-RUN.html here).")
@click.option("--no-html", is_flag=True, help="Print the table only.")
@click.pass_context
def command(ctx: click.Context, *, run: str, out: str | None, no_html: bool) -> None:
    """Print the table of a run (an id, a name or last, or a folder of a matrix) and write it as one HTML file."""
    from passloop.cli.source_kinds import kind_of_run

    home = home_of(ctx)
    kind = kind_of_run(home, run)
    if kind == "tune":
        from passloop.cli.tune_results import report_study, study_of_run

        report_study(home, study_of_run(home, run), out, files=not no_html)
    elif kind == "generate":
        from passloop.cli.generate_results import dataset_of_run, report_run

        report_run(home, dataset_of_run(home, run), out, files=not no_html)
    elif kind == "bench":
        from passloop.cli.bench_reports import find_bench, write_report

        write_report(home, find_bench(home, run), out, files=not no_html)
    else:
        _report_sweep(home, run, out, no_html=no_html)


def _report_sweep(home: str, run: str, out: str | None, *, no_html: bool) -> None:
    from rich.console import Console

    from passloop.apps.queue.report_html import report_html
    from passloop.apps.queue.report_text import print_report
    from passloop.cli.reporting import report_of

    report = report_of(home, run)
    colour = streams.colour_wanted()
    console = Console(
        file=sys.stdout,
        force_terminal=colour,
        color_system="auto" if colour else None,
        width=streams.width() or _UNBOUNDED,
        highlight=False,
    )
    if not no_html:
        _write(report_html(report), Path(out or f"passloop-report-{report.run}.html"))
    print_report(report, console)


def _write(page: str, path: Path) -> None:
    from passloop.cli.whole_files import write_whole_text

    try:
        write_whole_text(path, page)
    except OSError as refused:
        raise CliError(f"{path} cannot be written: {refused.strerror}", hint="passloop report --out FILE") from None
    streams.say(f"written: {path}")
