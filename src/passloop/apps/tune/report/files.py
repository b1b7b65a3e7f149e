"""A study's trials as CSV, JSON lines or Parquet: one record for each trial. It opens no file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from passloop.apps.errors import BadValue

from .document import records
from .standing import Standing

__all__ = ["FORMS", "write_records"]

FORMS = ("csv", "jsonl", "parquet")
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet would run as a formula when it opens a CSV file."""


def write_records(standing: Standing, form: str) -> bytes:
    """The records in one of `FORMS`. Raises `BadValue` for Parquet without pyarrow."""
    rows = list(records(standing))
    if form == "parquet":
        return _parquet(rows)
    if form == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _plain(value) for name, value in row.items()} for row in rows)
    return out.getvalue().encode()


def _plain(value: Any) -> Any:
    """Text that a spreadsheet does not run."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value


def _parquet(rows: Sequence[dict[str, Any]]) -> bytes:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise BadValue("Parquet wants pyarrow", "pip install 'passloop[pandas]', or export as csv") from None
    types = {name: _type_of([row[name] for row in rows]) for name in (rows[0] if rows else ())}
    plain = [{name: _as_type(value, types[name]) for name, value in row.items()} for row in rows]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(plain), sink)
    return sink.getvalue()


def _type_of(values: Sequence[Any]) -> type | None:
    """What the values of one column become where they are of several types: numbers floats, anything else text."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) <= 1:
        return None
    return float if kinds <= {int, float} else str


def _as_type(value: Any, wanted: type | None) -> Any:
    return value if wanted is None or value is None else wanted(value)
