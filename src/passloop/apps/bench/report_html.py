"""A matrix as one HTML file: the table, what it costs, where and when it ran, what failed, every cell.

Everything a user or a program wrote is escaped where it enters; gaps are shown as gaps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from passloop.apps.figures import lower_is_better, number_text, span_text, value_text
from passloop.apps.markup import Markup, element
from passloop.apps.page import grid, page_of

from .planned import Planned
from .plots import STYLE, Axis, Point, scatter
from .rescore import rescore_lines
from .results import CellResult, counts_of
from .table import Field, Row, Table, figure_of, table_of
from .table_text import column_name
from .usage_text import usage_columns

__all__ = ["report_html"]

TONES = {"done": "good", "running": "busy", "pending": "calm", "skipped": "odd", "failed": "bad"}
MOST_FAILURES = 100
MOST_CELLS = 5_000


def report_html(
    planned: Planned, results: Sequence[CellResult], *, made_at: int, timeline: Markup | None = None, out: str = ""
) -> str:
    """The complete file as text. `timeline` is the section of devices over time, where the store knows it; `out` is the
    folder of the results.
    """
    table = table_of(planned, results)
    sections = [_results(table, rescore_lines(results, out)), *_plots(table)]
    sections += [timeline] if timeline is not None else []
    failed = [each for each in results if each.status in ("failed", "skipped")]
    if failed:
        sections.append(_failures(failed))
    sections.append(_cells(table, results))
    header = _header(planned, results, table)
    return page_of(planned.bench, header, element("main", *sections), made_at=made_at, style=STYLE)


def _header(planned: Planned, results: Sequence[CellResult], table: Table) -> Markup:
    counts = counts_of(results)
    chips = [
        element("li", element("b", str(counts[status])), f" {status}", class_=f"chip {tone}")
        for status, tone in TONES.items()
        if counts[status]
    ]
    facts = [
        ("cells", f"{counts['total']:,}"),
        ("models", str(len({row.model for row in table.rows}))),
        ("configurations", str(len({row.sparse_attention for row in table.rows}))),
        ("columns", str(len(table.columns))),
        ("fields that are not complete", str(table.missing)),
    ]
    listed = [element("div", element("dt", name), element("dd", text)) for name, text in facts]
    return element(
        "header",
        element("h1", planned.bench),
        element("ul", *chips, class_="chips"),
        element("dl", *listed, class_="facts"),
    )


def _results(table: Table, apart: Sequence[str]) -> Markup:
    headings = ["model", "sparse attention"]
    headings += [f"{column_name(column)} ({table.metrics[column]})" for column in table.columns]
    headings += [table.mean_name, "kept cache", "time a cell"]
    rows = [[*_row_fields(row, table)] for row in table.rows]
    note = (
        "Each field: the mean over seeds, its difference to dense of the same model over the seeds that both have, and "
        "the 95 % interval: Wilson's of right and wrong answers, the bootstrap of other scores, Student's of few or of "
        "seeds. A gap has its reason and is in no mean; means over cells are of rows without one."
    )
    notes = [element("p", line, class_="gap-field") for line in apart]
    return element("section", element("h2", "Results"), element("p", note, class_="note"), *notes, grid(headings, rows))


def _row_fields(row: Row, table: Table) -> Iterator[Markup]:
    name = element("b", row.sparse_attention) if row.dense else row.sparse_attention
    yield element("td", row.model)
    yield element("td", name)
    for column in table.columns:
        yield _field(row.fields.get(column), lower_is_better(table.metrics[column]))
    yield _number("" if row.mean is None else number_text(round(row.mean, 4)))
    yield _number("" if row.kept is None else f"{100 * row.kept:.0f} %")
    yield _number(span_text(row.seconds))


def _field(field: Field | None, lower: bool) -> Markup:
    if field is None:
        return element("td", "", class_="number")
    if field.value is None:
        return element("td", f"missing: {field.why}", class_="gap-field")
    parts: list[str] = [f"{field.value:.4g}"]
    if field.difference:
        tone = "higher" if (field.difference > 0) != lower else "lower"
        parts += [" ", element("span", f"{field.difference:+.3g}", class_=tone)]
    if field.low is not None and field.high is not None:
        parts += [" ", element("small", f"[{field.low:.3g}, {field.high:.3g}]")]
    if field.unlike:
        parts += [" ", element("span", f"({field.unlike})", class_="gap-field")]
    if not field.complete:
        parts += [" ", element("span", f"{field.done}/{field.planned} {field.why}", class_="gap-field")]
    return element("td", *parts, class_="number")


def _plots(table: Table) -> Iterator[Markup]:
    """Score against kept cache and against time, of the rows without a gap."""
    whole = [(row, row.mean) for row in table.rows if row.mean is not None]
    if not whole:
        return
    metrics = sorted(set(table.metrics.values()))
    score = Axis(f"mean {metrics[0] if len(metrics) == 1 else 'metric'}", not lower_is_better(metrics[0]))
    kept = [Point(row.kept * 100, mean, row.sparse_attention, row.model) for row, mean in whole if row.kept is not None]
    timed = [
        Point(row.seconds, mean, row.sparse_attention, row.model) for row, mean in whole if row.seconds is not None
    ]
    drawn = [
        (points, axis)
        for points, axis in (
            (kept, Axis("kept cache (%)", more_is_better=False)),
            (timed, Axis("time a cell (s)", more_is_better=False)),
        )
        if len(points) > 1
    ]
    plots = [scatter(points, axis, score) for points, axis in drawn]
    if plots:
        left_out = any(len(points) < len(table.rows) for points, _ in drawn)
        note = "Rows with gaps, or without such a figure, are not drawn." if left_out else ""
        title = element("h2", "What it costs")
        yield element("section", title, element("p", note, class_="note"), element("div", *plots, class_="plots"))


def _failures(failed: Sequence[CellResult]) -> Markup:
    groups: dict[str, list[CellResult]] = {}
    for each in failed:
        groups.setdefault(each.error_class or each.status, []).append(each)
    parts: list[Markup] = []
    for name, some in sorted(groups.items(), key=lambda pair: -len(pair[1])):
        parts.append(element("h3", f"{len(some)} {name}"))
        rows = [[element("td", each.cell.label), element("td", each.message)] for each in some[:MOST_FAILURES]]
        parts.append(grid(["cell", "why"], rows))
        if len(some) > MOST_FAILURES:
            parts.append(element("p", f"and {len(some) - MOST_FAILURES} more of this class", class_="note"))
    return element("section", element("h2", "What failed, and why"), *parts)


def _cells(table: Table, results: Sequence[CellResult]) -> Markup:
    headings = ["model", "sparse attention", "benchmark", "subset", "seed", "status", "metric", "samples", "time"]
    used = usage_columns(results)
    headings += [column.heading for column in used]
    rows = [
        [*_cell(each, table.metrics[each.cell.column]), *(_number(column.text(each)) for column in used)]
        for each in results[:MOST_CELLS]
    ]
    left = len(results) - len(rows)
    note = f"The first {len(rows):,}; {left:,} more are in the CSV file." if left else ""
    return element("section", element("h2", "Every cell"), element("p", note, class_="note"), grid(headings, rows))


def _number(text: str) -> Markup:
    return element("td", text, class_="number")


def _cell(result: CellResult, metric: str) -> Iterator[Markup]:
    cell = result.cell
    for text in (cell.model, cell.sparse_attention, cell.benchmark, cell.subset):
        yield element("td", text)
    yield _number(str(cell.seed))
    word = result.error_class or result.status
    yield element("td", element("span", word, class_=f"tag {TONES[result.status]}"))
    yield _number(value_text(figure_of(result, metric)))
    samples, millis = result.done.get("samples") or {}, result.done.get("millis") or {}
    yield _number(value_text(samples.get("answered")))
    yield _number(span_text(millis["run"] / 1000) if "run" in millis else "")
