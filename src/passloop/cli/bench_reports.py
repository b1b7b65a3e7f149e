"""Results of a matrix for the verbs that look at them: which folder is meant, the answers, the files of a report.

The tree of results is asked first; where it is gone the store tells what it knows.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from passloop.apps.bench.planned import Planned, planned_of_tasks, read_planned
from passloop.apps.bench.report_html import report_html
from passloop.apps.bench.rescore import rescore_lines
from passloop.apps.bench.results import CellResult, results_of_tasks, results_of_tree
from passloop.apps.bench.summary import summary_of, write_summary
from passloop.apps.bench.table import Table, table_of
from passloop.apps.bench.table_text import csv_text, failure_lines, markdown_text, table_lines
from passloop.apps.markup import Markup
from passloop.apps.queue.gather import gather
from passloop.apps.queue.same_sweep import runs_of_sweep
from passloop.apps.queue.timeline import build_timeline
from passloop.apps.queue.timeline_html import timeline_section
from passloop.apps.queue.views import run_view
from passloop.cli import streams
from passloop.cli.exits import CliError, Exit
from passloop.cli.reads import Ask
from passloop.cli.source_kinds import holds_results
from passloop.cli.store_reads import StoreReads
from passloop.cli.whole_files import write_whole_text
from passloop.clock import SystemClock
from passloop.engine.errors import NotFound
from passloop.store.home import Home
from passloop.store.reader import Reader

__all__ = ["Found", "find_bench", "newest_matrix", "write_report"]

_LOOKED_AT = 1_000
"""Runs among which the newest matrix is sought."""


class Found(NamedTuple):
    """A matrix with what came of it. `root` is its folder, `run` a selector of its tasks ("" if only the tree is)."""

    planned: Planned
    results: list[CellResult]
    root: Path
    run: str


def find_bench(home: str, word: str) -> Found:
    """The matrix that `word` means. Raises `CliError` (exit 3)."""
    root, run = Path(word), ""
    about: dict[str, Any] = {}
    runs: list[int] = []
    if not holds_results(word):
        about, runs = _about(home, word)
        if about.get("kind") != "bench":
            newest = newest_matrix(home)
            fix = f"the newest matrix is {streams.clean(newest)}" if newest else "passloop bench SPEC.yaml"
            raise CliError(f"{word} is no run of a matrix and no folder of results", hint=fix, exit_code=3)
        root, run = Path(str(about["out"])), f"@{about['run']}"
    planned = read_planned(root)
    if planned is not None:
        return Found(planned, results_of_tree(planned, root), root, run or f"@{planned.bench}")
    tasks = StoreReads(home).tasks(Ask(tuple(f"@{each}" for each in runs)))["tasks"] if runs else []
    if not tasks:
        raise CliError(f"there are no results in {root}", hint="passloop bench SPEC.yaml", exit_code=Exit.NOT_FOUND)
    planned = planned_of_tasks(str(about["name"]), tasks)
    return Found(planned, results_of_tasks(planned, tasks), root, run)


def write_report(home: str, found: Found, html: str | None, *, files: bool = True) -> None:
    """Write summary, Markdown, CSV and HTML beside the results (HTML to `html` if named), and print the table."""
    table = table_of(found.planned, found.results)
    apart = [streams.clean(line) for line in rescore_lines(found.results, found.root)]
    if files:
        folder = found.root
        page = Path(html) if html else folder / "report.html"
        made_at = SystemClock().wall()
        timeline = _timeline(home, found.run, made_at)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            write_summary(folder, summary_of(found.planned, found.results))
            write_whole_text(folder / "report.md", _markdown(found, table, apart))
            write_whole_text(folder / "report.csv", csv_text(table))
            write_whole_text(page, _page(found, made_at, timeline))
        except OSError as refused:
            what = f"{refused.filename or page} cannot be written: {refused.strerror}"
            raise CliError(what, hint="passloop report --out FILE") from None
        streams.say(f"written: {page} (and report.md, report.csv, execution_summary.json in {folder})")
    for line in [*table_lines(table, width=streams.width()), "", *failure_lines(found.results), *apart]:
        streams.emit(line)


def _markdown(found: Found, table: Table, apart: Sequence[str]) -> str:
    return f"# {found.planned.bench}\n\n{markdown_text(table)}" + "".join(f"\n{line}\n" for line in apart)


def _page(found: Found, made_at: int, timeline: Markup | None) -> str:
    return report_html(found.planned, found.results, made_at=made_at, timeline=timeline, out=str(found.root))


def newest_matrix(home: str) -> str | None:
    """The name of the newest run that is a matrix."""
    place = Home(Path(home))
    if not place.database.exists():
        return None
    with Reader.open(place) as reader:
        runs = reader.runs(limit=_LOOKED_AT)
    return next((run.row.name for run in runs if run_view(run)["kind"] == "bench"), None)


def _about(home: str, word: str) -> tuple[dict[str, Any], list[int]]:
    """What is known about the run that `word` means, with its id and name, and all runs of the same matrix; nothing if
    there is none.
    """
    place = Home(Path(home))
    if not place.database.exists():
        return {}, []
    with Reader.open(place) as reader:
        newest = reader.runs(limit=1) if word == "last" else []
        run = newest[0] if newest else reader.run(word.removeprefix("@"))
        if run is None:
            return {}, []
        about = {**run_view(run)["about"], "name": run.row.name, "run": run.row.id}
        return about, [each.row.id for each in runs_of_sweep(run, reader)]


def _timeline(home: str, run: str, made_at: int) -> Markup | None:
    """The devices over time, if this home ran the matrix."""
    place = Home(Path(home))
    if not run or not os.path.exists(place.database):
        return None
    try:
        with Reader.open(place) as reader:
            timeline = build_timeline(gather(reader, place, run.removeprefix("@"), made_at=made_at))
    except NotFound:
        return None
    return None if timeline is None else timeline_section(timeline)
