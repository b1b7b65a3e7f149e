"""Exports the rows of a report as CSV, JSON lines or Parquet: one line per task, one column per value."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import IO, Any

from passloop.apps.errors import BadValue
from passloop.apps.figures import Value
from passloop.clock import iso_utc

from .report import Report, Row

__all__ = ["ExportFormat", "export_columns", "export_records", "write_export"]

# What a spreadsheet would run as a formula when it opens a CSV file.
FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ExportFormat(StrEnum):
    """How an export is written."""

    CSV = "csv"
    JSONL = "jsonl"
    PARQUET = "parquet"


def export_columns(report: Report) -> list[str]:
    """Column names in order: the task, `param.*`, then `metric.*`."""
    return [
        *("id", "run", "name", "state", "outcome", "exit_code", "message", "attempts"),
        *("submitted_at", "started_at", "ended_at", "seconds", "gpus", "command"),
        *(f"param.{axis}" for axis in report.axes),
        *(f"metric.{metric}" for metric in report.metrics),
    ]


def export_records(report: Report) -> Iterator[dict[str, Value]]:
    """One flat record per task with every column; times in ISO 8601 UTC, seconds of the latest attempt."""
    for row in report.rows:
        yield {
            **_facts(row),
            **{f"param.{axis}": row.params.get(axis) for axis in report.axes},
            **{f"metric.{metric}": row.results.get(metric) for metric in report.metrics},
        }


def write_export(report: Report, kind: ExportFormat, out: IO[bytes]) -> None:
    """Write the export to a binary stream. Raises `BadValue` when Parquet is asked for without pyarrow."""
    if kind is ExportFormat.PARQUET:
        _write_parquet(report, out)
        return
    for line in _csv_lines(report) if kind is ExportFormat.CSV else _json_lines(report):
        out.write(line.encode("utf-8"))


def _facts(row: Row) -> dict[str, Value]:
    gpus = row.attempts[-1].gpus if row.attempts else ()
    return {
        "id": row.id,
        "run": row.run,
        "name": row.name,
        "state": row.state,
        "outcome": row.outcome,
        "exit_code": row.exit_code,
        "message": row.message,
        "attempts": len(row.attempts),
        "submitted_at": iso_utc(row.submitted_at),
        "started_at": iso_utc(row.started_at),
        "ended_at": iso_utc(row.ended_at),
        "seconds": row.seconds,
        "gpus": ",".join(gpus),
        "command": json.dumps(row.command, ensure_ascii=False),
    }


class _Line:
    """What the csv writer writes into: keeps the latest line."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        self.text = text
        return len(text)


def _csv_lines(report: Report) -> Iterator[str]:
    line = _Line()
    writer = csv.writer(line)
    columns = export_columns(report)
    writer.writerow(columns)
    yield line.text
    for record in export_records(report):
        writer.writerow([_cell(record[column]) for column in columns])
        yield line.text


def _cell(value: Value) -> Value:
    """Texts that a spreadsheet would take for a formula get a quote before them."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _json_lines(report: Report) -> Iterator[str]:
    for record, row in zip(export_records(report), report.rows, strict=True):
        plain: dict[str, Any] = {name: _json_value(value) for name, value in record.items()}
        plain |= {"command": list(row.command), "gpus": list(row.attempts[-1].gpus if row.attempts else ())}
        yield json.dumps(plain, ensure_ascii=False) + "\n"


def _json_value(value: Value) -> Value:
    """JSON has no NaN and no infinity: they become their names."""
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return str(value)
    return value


def _write_parquet(report: Report, out: IO[bytes]) -> None:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as missing:
        raise BadValue("Parquet needs pyarrow", "pip install 'passloop[pandas]', or use --format csv") from missing
    records = list(export_records(report))
    columns: Mapping[str, list[Any]] = {name: [r[name] for r in records] for name in export_columns(report)}
    table = pyarrow.table({name: pyarrow.array(_one_type(values)) for name, values in columns.items()})
    parquet.write_table(table, out)


def _one_type(values: list[Value]) -> list[Value]:
    """A column with numbers and texts together becomes text; whole and broken numbers become broken ones."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) <= 1:
        return values
    if kinds <= {int, float}:
        return [None if value is None else float(value) for value in values]
    return [None if value is None else str(value) for value in values]
