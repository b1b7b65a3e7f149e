"""The table as lines of text: for terminals, Markdown and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from passloop.apps.figures import number_text
from passloop.apps.markup import plain_text

from .results import CellResult
from .table import Column, Field, Row, Table

__all__ = ["column_name", "csv_text", "failure_lines", "field_text", "markdown_text", "table_lines"]

FORMULA = ("=", "+", "-", "@", "\t", "\r")
MOST_FAILURES = 5
HEADINGS = ("model", "sparse attention")


def column_name(column: Column) -> str:
    """`niah/single_512`; a benchmark without subsets is its name."""
    return "/".join(filter(None, column))


def field_text(field: Field | None) -> str:
    """`0.75 (-0.25) [0.50, 1.00]`; what is missing is `-` with its reason, what is not in the matrix is empty. Where
    dense has answered another number of samples, it says so.
    """
    if field is None:
        return ""
    if field.value is None:
        return f"- {field.why}".strip()
    text = f"{field.value:.4g}"
    if field.difference:
        text += f" ({field.difference:+.3g})"
    if field.low is not None and field.high is not None:
        text += f" [{field.low:.3g}, {field.high:.3g}]"
    if field.unlike:
        text += f" ({field.unlike})"
    return f"{text} {field.done}/{field.planned} {field.why}".strip() if not field.complete else text


def table_lines(table: Table, *, width: int | None = None) -> list[str]:
    """The table in columns of equal width; one that is wider than `width` comes in several parts, below each other."""
    columns = [list(column) for column in zip(*([plain_text(t) for t in row] for row in _texts(table)), strict=True)]
    names, rest = columns[: len(HEADINGS)], columns[len(HEADINGS) :]
    lines: list[str] = []
    while rest or not lines:
        fitting = _fitting(names, rest, width)
        lines += [""] * bool(lines) + _aligned([*names, *rest[:fitting]])
        rest = rest[fitting:]
    return lines


def _fitting(names: list[list[str]], rest: list[list[str]], width: int | None) -> int:
    """How many more columns fit beside the names; at least one."""
    if width is None:
        return max(1, len(rest))
    left = width - sum(_wide(column) + 2 for column in names)
    count = 0
    for column in rest:
        left -= _wide(column) + 2
        if left < -2:
            break
        count += 1
    return max(1, count)


def _wide(column: list[str]) -> int:
    return max(map(len, column))


def _aligned(columns: list[list[str]]) -> list[str]:
    padded = [[text.ljust(_wide(column)) for text in column] for column in columns]
    return ["  ".join(row).rstrip() for row in zip(*padded, strict=True)]


def markdown_text(table: Table) -> str:
    """The table in Markdown."""
    head, *rows = [[plain_text(text).replace("|", "\\|") for text in row] for row in _texts(table)]
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(row) + " |\n" for row in lines)


def failure_lines(results: Sequence[CellResult]) -> list[str]:
    """What failed or was taken out, by class, the first of each with its sentence."""
    groups: dict[str, list[CellResult]] = {}
    for each in results:
        if each.status in ("failed", "skipped"):
            groups.setdefault(each.error_class, []).append(each)
    lines: list[str] = []
    for name, some in sorted(groups.items(), key=lambda pair: -len(pair[1])):
        lines.append(f"{len(some)} {plain_text(name)}:")
        lines += [f"  {plain_text(each.cell.label)}: {plain_text(each.message)}" for each in some[:MOST_FAILURES]]
        if len(some) > MOST_FAILURES:
            lines.append(f"  ... and {len(some) - MOST_FAILURES} more")
    return lines


def csv_text(table: Table) -> str:
    """One line for each field: row, column, metric, value, interval, difference, counts, why it is missing."""
    out = io.StringIO()
    writer = csv.writer(out)
    names = ("model", "sparse_attention", "benchmark", "subset", "metric", "value", "low", "high", "difference")
    writer.writerow([*names, "seeds_done", "seeds_planned", "samples", "missing"])
    for row in table.rows:
        for column in table.columns:
            writer.writerow([_safe(value) for value in _record(row, column)])
    return out.getvalue()


def _record(row: Row, column: Column) -> list[str | float | int | None]:
    field = row.fields.get(column, Field(why="not in the matrix"))
    figures: list[str | float | int | None] = [field.value, field.low, field.high, field.difference]
    names = [row.model, row.sparse_attention, *column, field.metric]
    return [*names, *figures, field.done, field.planned, field.samples, field.why]


def _safe(value: str | float | int | None) -> str | float | int | None:
    """Texts that a spreadsheet would take for a formula get a quote before them."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _texts(table: Table) -> Iterator[list[str]]:
    metrics = set(table.metrics.values())
    named = [column_name(c) + (f" {table.metrics[c]}" if len(metrics) > 1 else "") for c in table.columns]
    averaged = len(table.columns) > 1 and any(row.mean is not None for row in table.rows)
    kept, timed = (any(getattr(row, name) is not None for row in table.rows) for name in ("kept", "seconds"))
    yield [*HEADINGS, *named, *[table.mean_name] * averaged, *["kept"] * kept, *["seconds"] * timed]
    for row in table.rows:
        ends: Sequence[tuple[bool, float | None]] = ((averaged, row.mean), (kept, row.kept), (timed, row.seconds))
        tail = ["-" if value is None else number_text(round(value, 4)) for shown, value in ends if shown]
        fields = [field_text(row.fields.get(column)) for column in table.columns]
        yield [row.model, row.sparse_attention, *fields, *tail]
