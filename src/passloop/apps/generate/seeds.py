"""Seed files: CSV, JSON lines or Parquet, read whole. A record is a mapping of the file's columns. Writes nothing."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from passloop.apps.errors import BadValue
from passloop.apps.text import shown

from .samplers import shuffled_place
from .spec import Column

__all__ = ["check_seed", "seeded"]

ENDINGS = (".csv", ".jsonl", ".parquet")
LONGEST_FIELD = 2**24
"""Characters of a field of a CSV file: a seed may be a whole document."""


def seeded(column: Column, folder: Path, *, seed: int, row: int) -> Any:
    """The value of a seed column in a row. Raises `BadValue` for a file that cannot be used."""
    values = _column(column, folder)
    if column.order == "shuffled":
        return values[shuffled_place(len(values), seed=seed, column=str(column.file), row=row)]
    if column.order == "cycled":
        return values[row % len(values)]
    if row >= len(values):
        raise BadValue(f"{column.file} has only {len(values):,} records", "say `order: cycled`, or fewer rows")
    return values[row]


def check_seed(column: Column, folder: Path, *, rows: int) -> None:
    """Raise `BadValue` if the column cannot be had for so many rows."""
    seeded(column, folder, seed=0, row=rows - 1)


def _column(column: Column, folder: Path) -> list[Any]:
    path = folder / str(column.file)
    try:
        stat = path.stat()
    except OSError as error:
        raise BadValue(f"the file {path} cannot be read: {error.strerror}", "name a file beside the spec") from None
    return _read(path, column.field or column.name, (stat.st_mtime_ns, stat.st_size))


@lru_cache(maxsize=32)
def _read(path: Path, field: str, _version: tuple[int, int]) -> list[Any]:
    records = _records(path)
    if not records:
        raise BadValue(f"the file {path.name} has no records", "give it at least one")
    if field not in records[0]:
        known = ", ".join(shown(each) for each in records[0] if each is not None)
        raise BadValue(f"{path.name} has no column {shown(field)}", f"say `field:`, one of {known}")
    values = [None if (value := record.get(field)) != value else value for record in records]  # NaN: it is missing
    try:
        json.dumps(values, ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, ValueError) as error:
        what = f"{path.name} has values in {shown(field)} that JSON does not say: {error}"
        raise BadValue(what, "write them as text or as numbers") from None
    return values


def _records(path: Path) -> list[dict[str, Any]]:
    try:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                return _csv(file)
        if path.suffix == ".jsonl":
            with path.open(encoding="utf-8-sig") as file:
                return [_object(line) for line in file if line.strip()]
        if path.suffix == ".parquet":
            return _parquet(path)
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise BadValue(f"the file {path.name} cannot be read: {error}", "check that it is what its name says") from None
    raise BadValue(f"{path.name} is no seed file", f"use one of {', '.join(ENDINGS)}")


def _csv(file: Iterable[str]) -> list[dict[str, Any]]:
    """The records. Raises `ValueError` for columns of one name, of which only one could be had."""
    csv.field_size_limit(max(LONGEST_FIELD, csv.field_size_limit()))
    reader = csv.DictReader(file)
    names = reader.fieldnames or ()
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise ValueError(f"it has two columns {shown(twice[0])}")
    return list(reader)


def _object(line: str) -> dict[str, Any]:
    record = json.loads(line)
    if not isinstance(record, dict):
        raise ValueError(f"{shown(line.strip())} is no JSON object")
    return record


def _parquet(path: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise BadValue("Parquet needs one more package", "pip install 'passloop[generate]'") from None
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found
