"""Seed files: CSV, JSON lines or Parquet, read whole. A record is a mapping of the file's columns. Writes nothing."""

from __future__ import annotations

import csv
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from passloop.apps.errors import BadValue
from passloop.apps.text import shown

from .samplers import shuffled_place
from .spec import Column

__all__ = ["check_seed", "seeded"]

ENDINGS = (".csv", ".jsonl", ".parquet")


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
        known = ", ".join(map(shown, records[0]))
        raise BadValue(f"{path.name} has no column {shown(field)}", f"say `field:`, one of {known}")
    return [record.get(field) for record in records]


def _records(path: Path) -> list[dict[str, Any]]:
    try:
        if path.suffix == ".csv":
            with path.open(encoding="utf-8-sig", newline="") as file:
                return list(csv.DictReader(file))
        if path.suffix == ".jsonl":
            lines = path.read_text(encoding="utf-8").splitlines()
            return [dict(json.loads(line)) for line in lines if line.strip()]
        if path.suffix == ".parquet":
            return _parquet(path)
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise BadValue(f"the file {path.name} cannot be read: {error}", "check that it is what its name says") from None
    raise BadValue(f"{path.name} is no seed file", f"use one of {', '.join(ENDINGS)}")


def _parquet(path: Path) -> list[dict[str, Any]]:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise BadValue("Parquet needs one more package", "pip install 'passloop[generate]'") from None
    found: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return found
