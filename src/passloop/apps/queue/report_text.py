"""Prints a report: cells with their metrics, what failed and why, how long it took."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from passloop.apps.counting import counted
from passloop.apps.figures import lower_is_better, number_text, span_text, value_text
from passloop.apps.markup import plain_text

from .report import Cell, Report, Row, Spread

__all__ = ["cells_table", "metric_text", "order_text", "print_report", "spread_text"]

STATE_STYLES = {
    "succeeded": "green",
    "failed": "red",
    "rejected": "red",
    "aborted": "yellow",
    "cancelled": "yellow",
}
MOST_METRICS = 6
MOST_CELLS = 60
MOST_FAILURES = 10


def print_report(report: Report, console: Console) -> None:
    """Print the whole report: cells, failures, one line of facts."""
    console.print(cells_table(report))
    if len(report.cells) > MOST_CELLS:
        console.print(
            f"... and {len(report.cells) - MOST_CELLS} more cells: `passloop export {report.run}`",
            style="dim",
        )
    left = len(_metrics(report)) - MOST_METRICS
    if left > 0:
        console.print(f"... and {counted(left, 'more metric')}: `passloop export {report.run}`", style="dim")
    for line in _failures(report):
        console.print(line)
    console.print(Text(_facts(report), style="dim"))


def cells_table(report: Report) -> Table:
    """One line per cell: its parameters, how many repeats succeeded, its metrics, its time."""
    axes = [axis for axis in report.axes if any(axis in cell.params for cell in report.cells)]
    metrics = _metrics(report)[:MOST_METRICS]
    order = f", {order_text(report.ranked_by)}" if report.ranked_by else ""
    title = Text(plain_text(f"{report.name or 'run'} (run {report.run}){order}"))
    table = Table(title=title, title_justify="left", box=None)
    for axis in axes or ["task"]:
        table.add_column(Text(plain_text(axis)), overflow="fold")
    table.add_column("done", justify="right")
    for metric in metrics:
        table.add_column(Text(plain_text(metric)), justify="right")
    table.add_column("time", justify="right")
    table.add_column("state")
    for cell in report.cells[:MOST_CELLS]:
        table.add_row(*_line(cell, axes, metrics))
    return table


def _metrics(report: Report) -> list[str]:
    """The metrics that some cell has a figure of."""
    return [name for name in report.metrics if any(name in cell.metrics for cell in report.cells)]


def spread_text(spread: Spread | None) -> str:
    """`0.9731 ± 0.0021`, to two digits of the deviation; a single value as it is."""
    if spread is None:
        return ""
    if not spread.deviation:
        return number_text(spread.mean)
    digits = 1 - math.floor(math.log10(spread.deviation))
    if not 0 <= digits <= 8:
        return f"{spread.mean:.5g} ± {spread.deviation:.2g}"
    return f"{spread.mean:.{digits}f} ± {spread.deviation:.{digits}f}"


def metric_text(cell: Cell, metric: str) -> str:
    """The metric of a cell; of one that some repeats have no number for, with how many have one: `0.5 (2 of 3)`."""
    spread = cell.metrics.get(metric)
    text = spread_text(spread)
    return f"{text} ({spread.count} of {cell.succeeded})" if spread and spread.count < cell.succeeded else text


def order_text(metric: str) -> str:
    """How cells are ranked, and which way."""
    return f"by {metric}, {'lowest' if lower_is_better(metric) else 'highest'} first"


def _line(cell: Cell, axes: list[str], metrics: list[str]) -> list[Text]:
    names = [value_text(cell.params.get(axis)) for axis in axes] or [cell.rows[0].name]
    return [
        *(Text(plain_text(name)) for name in names),
        Text(f"{cell.succeeded}/{len(cell.rows)}"),
        *(Text(metric_text(cell, metric)) for metric in metrics),
        Text(span_text(cell.seconds)),
        _states(cell),
    ]


def _states(cell: Cell) -> Text:
    words = Text()
    for state in dict.fromkeys(row.failure_class or row.state for row in cell.rows):
        some = next(row for row in cell.rows if (row.failure_class or row.state) == state)
        words.append(" " if words else "").append(plain_text(state), STATE_STYLES.get(some.state, "cyan"))
    return words


def _failures(report: Report) -> Iterator[Text]:
    for name, rows in report.failures.items():
        yield Text(f"\n{len(rows)} {plain_text(name)}:", style="bold red")
        for row in rows[:MOST_FAILURES]:
            yield Text(f"  {row.id}  {plain_text(_label(row))}  {plain_text(_why(row))}")
        if len(rows) > MOST_FAILURES:
            yield Text(
                f"  ... and {len(rows) - MOST_FAILURES} more: `passloop ls @{report.run} {_states_of(rows)}`",
                style="dim",
            )


def _states_of(rows: Iterable[Row]) -> str:
    """The words that select these among the tasks of their run."""
    return " ".join(f"state:{state}" for state in sorted({row.state for row in rows}))


def _label(row: Row) -> str:
    return " ".join(f"{axis}={value_text(value)}" for axis, value in row.params.items()) or row.name


def _why(row: Row) -> str:
    """The sentence of the attempt, and the last line that the command itself wrote."""
    lines = [line.strip() for line in row.log.splitlines() if line.strip()]
    said = row.message or (f"exit code {row.exit_code}" if row.exit_code is not None else "")
    return f"{said}: {lines[-1]}" if lines else said


def _facts(report: Report) -> str:
    counts = ", ".join(f"{count} {state}" for state, count in sorted(report.counts.items()))
    span = report.span
    took = f"; {span_text((span[1] - span[0]) / 1000)} from first start to last end" if span else ""
    return f"\n{counted(len(report.rows), 'task')}: {counts}{took}; {span_text(report.busy_seconds)} of work"
