"""Writes a report as one HTML file: no script, nothing fetched, readable on a phone, light and dark.

Everything a user or a program wrote is escaped where it enters (`markup`); the file's own policy forbids
scripts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from passloop.apps.figures import Value, lower_is_better, number_text, span_text, value_text
from passloop.apps.markup import Markup, element, plain_log
from passloop.apps.page import grid, moment_text, page_of

from .report import Cell, Report, Row, is_number
from .report_text import metric_text, order_text
from .timeline import build_timeline
from .timeline_html import timeline_section

__all__ = ["report_html"]

MOST_ROWS = 2_000
MOST_LOGS = 50
TONES = {
    "succeeded": "good",
    "failed": "bad",
    "rejected": "bad",
    "aborted": "odd",
    "cancelled": "odd",
    "running": "busy",
    "stopping": "busy",
    "admitted": "busy",
}


def report_html(report: Report) -> str:
    """The complete file as text, to be written as UTF-8."""
    title = f"{report.name or 'run'} · run {report.run}"
    return page_of(title, _header(report, title), element("main", *_sections(report)), made_at=report.made_at)


def _sections(report: Report) -> Iterator[Markup]:
    if report.axes and any(cell.metrics for cell in report.cells):
        yield _cells(report)
    timeline = build_timeline(report)
    if timeline is not None:
        yield timeline_section(timeline)
    if report.failures:
        yield _failures(report)
    yield _tasks(report)


def _header(report: Report, title: str) -> Markup:
    counts = sorted(report.counts.items(), key=lambda pair: (TONES.get(pair[0], "calm"), pair[0]), reverse=True)
    counts.sort(key=lambda pair: ["good", "busy", "calm", "odd", "bad"].index(TONES.get(pair[0], "calm")))
    chips = [
        element("li", element("b", str(count)), f" {state}", class_=f"chip {TONES.get(state, 'calm')}")
        for state, count in counts
    ]
    facts = [element("div", element("dt", name), element("dd", text)) for name, text in _facts(report)]
    return element(
        "header",
        element("h1", title),
        element("ul", *chips, class_="chips"),
        _share_bar(counts),
        element("dl", *facts, class_="facts"),
    )


def _share_bar(counts: Sequence[tuple[str, int]]) -> Markup:
    """All tasks as one bar, cut by state."""
    whole = sum(count for _, count in counts)
    parts = []
    at = 0.0
    for state, count in counts:
        width = 100 * count / whole
        rect = element(
            "rect", element("title", f"{count} {state}"), x=f"{at:.3f}%", width=f"{width:.3f}%", height="100%"
        )
        parts.append(element("g", rect, class_=TONES.get(state, "calm")))
        at += width
    return element("svg", *parts, class_="shares", role="img", aria_label="tasks by state")


def _facts(report: Report) -> Iterator[tuple[str, str]]:
    yield "tasks", str(len(report.rows))
    runs = sorted({row.run for row in report.ever})
    if len(runs) > 1:
        yield "submitted as runs", ", ".join(map(str, runs[-10:]))
    attempts = sum(len(row.attempts) for row in report.ever)
    if attempts != len(report.rows):
        yield "attempts", str(attempts)
    if report.span is not None:
        wall = (report.span[1] - report.span[0]) / 1000
        yield "first start", moment_text(report.span[0])
        yield "first start to last end", span_text(wall)
        yield "work done", span_text(report.busy_seconds)
        active = sum(end - start for start, end in report.active) / 1000
        if active > 0:
            yield "at once, on average", f"{report.busy_seconds / active:.1f}"
    if report.ranked_by and report.cells[0].params:
        best = report.cells[0]
        where = ", ".join(f"{axis} {value_text(value)}" for axis, value in best.params.items())
        word = "lowest" if lower_is_better(report.ranked_by) else "highest"
        yield f"{word} {report.ranked_by}", f"{metric_text(best, report.ranked_by)} ({where})"
    yield "group", report.group


def _cells(report: Report) -> Markup:
    axes = [axis for axis in report.axes if any(axis in cell.params for cell in report.cells)]
    metrics = [name for name in report.metrics if any(name in cell.metrics for cell in report.cells)]
    bounds = _bounds(report)
    headings = [*axes, "done", *metrics]
    if bounds:
        headings.append(f"{report.ranked_by}: {bounds[0]:.4g} to {bounds[1]:.4g}")
    rows = []
    for cell in report.cells:
        fields = [_field(cell.params.get(axis)) for axis in axes]
        fields.append(_done(cell))
        fields += [element("td", metric_text(cell, name), class_="number") for name in metrics]
        if bounds:
            fields.append(element("td", _strip(cell, report.ranked_by or "", bounds), class_="strip"))
        rows.append(fields)
    told = "mean ± standard deviation over the repeats that succeeded"
    order = f"Cells {order_text(report.ranked_by)}; {told}." if report.ranked_by else ""
    return element("section", element("h2", "Results"), element("p", order, class_="note"), grid(headings, rows))


def _bounds(report: Report) -> tuple[float, float] | None:
    """Lowest and highest value of the ranking metric over all tasks, if there is anything to compare."""
    values = [value for cell in report.cells for value, _ in _values(cell, report.ranked_by)]
    return (min(values), max(values)) if values and max(values) > min(values) else None


def _values(cell: Cell, metric: str | None) -> list[tuple[float, Row]]:
    if metric is None or metric not in cell.metrics:
        return []
    found = [(row.results.get(metric), row) for row in cell.rows if row.state == "succeeded"]
    return [(float(value), row) for value, row in found if is_number(value)]


def _strip(cell: Cell, metric: str, bounds: tuple[float, float]) -> Markup:
    """Each repeat as a dot between the lowest and the highest value of the run."""
    dots = []
    for value, row in _values(cell, metric):
        x = 4 + 92 * (value - bounds[0]) / (bounds[1] - bounds[0])
        title = element("title", f"task {row.id}: {metric} {number_text(value)}")
        dots.append(element("circle", title, cx=f"{x:.2f}%", cy="50%", r=4))
    line = element("line", x1="4%", x2="96%", y1="50%", y2="50%")
    return element("svg", line, *dots, class_="dots", role="img", aria_label=metric)


def _done(cell: Cell) -> Markup:
    tone = (
        "good" if cell.succeeded == len(cell.rows) else "bad" if any(row.failure_class for row in cell.rows) else "calm"
    )
    words = ", ".join(dict.fromkeys(row.failure_class or row.state for row in cell.rows if row.state != "succeeded"))
    text = f"{cell.succeeded}/{len(cell.rows)}" + (f" {words}" if words else "")
    return element("td", element("span", text, class_=f"tag {tone}"))


def _failures(report: Report) -> Markup:
    parts: list[Markup] = []
    shown = 0
    for name, rows in report.failures.items():
        parts.append(element("h3", f"{len(rows)} {name}"))
        told = rows[: max(0, MOST_LOGS - shown)]
        parts += [_failure(row, opened=place < 3) for place, row in enumerate(told, start=shown)]
        shown += len(told)
        if len(rows) > len(told):
            parts.append(element("p", f"and {len(rows) - len(told)} more of this class", class_="note"))
    return element("section", element("h2", "What failed, and why"), *parts)


def _failure(row: Row, *, opened: bool) -> Markup:
    why = row.message or (f"exit code {row.exit_code}" if row.exit_code is not None else "no message")
    summary = element("summary", element("b", f"task {row.id}"), f" {_label(row)} ", element("span", why, class_="why"))
    parts = [summary]
    if row.command:
        parts.append(element("p", element("code", " ".join(row.command))))
    if row.log:
        parts.append(element("pre", plain_log(row.log)))
    return element("details", *parts, open="" if opened else None)


def _label(row: Row) -> str:
    return ", ".join(f"{axis} {value_text(value)}" for axis, value in row.params.items()) or row.name


def _tasks(report: Report) -> Markup:
    names = not report.axes
    headings = [
        "task",
        *(["name"] if names else report.axes),
        "state",
        "attempts",
        "waited",
        "time",
        *report.metrics,
    ]
    rows = [_task(row, report) for row in report.rows[:MOST_ROWS]]
    left = len(report.rows) - len(rows)
    note = f"The first {MOST_ROWS} of {len(report.rows)}; all of them: passloop export {report.run}" if left else ""
    return element("section", element("h2", "Every task"), element("p", note, class_="note"), grid(headings, rows))


def _task(row: Row, report: Report) -> list[Markup]:
    tone = TONES.get(row.state, "calm")
    waited = None if row.started_at is None or row.submitted_at is None else row.started_at - row.submitted_at
    params = [_field(row.params.get(axis)) for axis in report.axes] or [element("td", row.name)]
    return [
        element("td", str(row.id), class_="number"),
        *params,
        element("td", element("span", row.failure_class or row.state, class_=f"tag {tone}")),
        element("td", str(len(row.attempts)), class_="number"),
        element("td", span_text(None if waited is None else waited / 1000), class_="number"),
        element("td", span_text(row.seconds), class_="number"),
        *(_field(row.results.get(name)) for name in report.metrics),
    ]


def _field(value: Value) -> Markup:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return element("td", value_text(value), class_="number" if number else None)
