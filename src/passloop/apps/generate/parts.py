"""Parquet files of a dataset: one part for each row group that is whole, and the file they become. Each is written
aside, flushed to the disk and renamed, so that a name always means a whole file.

A part's name holds the identity of its cells, so a part that is there is never written again nor mistaken.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from passloop.apps.errors import BadValue
from passloop.crashpoints import crashpoint

__all__ = ["METADATA", "PartStore", "WrittenAside", "lazily", "parquet", "read_rows", "table_of", "write_file"]

METADATA = b"passloop"
_NUMBERS = count()
DEEPEST = 20
"""Lists and objects in each other that become types; deeper ones become text."""


def parquet() -> Any:
    """The Parquet library. Raises `BadValue` with the command that installs it."""
    try:
        import pyarrow
        import pyarrow.parquet as found
    except ImportError:
        raise BadValue("Parquet needs one more package", "pip install 'passloop[generate]'") from None
    return pyarrow and found


class PartStore:
    """The parts of one dataset, in a hidden folder beside its file."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.folder = out.parent / f".{out.name}.parts"

    def path(self, unit: int, identity: str) -> Path:
        """Where the part of a row group is, or will be."""
        return self.folder / f"part-{unit:08}-{identity}.parquet"

    def write(self, path: Path, rows: Sequence[Mapping[str, Any]], columns: Sequence[str], told: object) -> None:
        """Write a part, with what is told of it. Nobody needs it any more if the parts are deleted meanwhile."""
        try:
            write_file(path, [table_of(rows, columns)], told, untyped=True)
        except (FileNotFoundError, FileExistsError):  # the second: the folder was there when it was to be made
            if self.folder.exists():
                raise

    def told(self, path: Path) -> Any:
        """What is told of a part; None if it is not there, or is no part."""
        if not path.exists():
            return None
        try:
            metadata = parquet().read_schema(path).metadata or {}
            return json.loads(metadata[METADATA])
        except (OSError, ValueError, KeyError):
            return None

    def rows(self, path: Path) -> int:
        """How many rows a file has; 0 if it is not there, or is none of rows."""
        try:
            return int(parquet().read_metadata(path).num_rows) if path.exists() else 0
        except (OSError, ValueError):
            return 0

    def remove(self) -> None:
        """Delete the parts: the file has everything. Whoever is writing one now keeps the folder."""
        crashpoint("before_parts_go")
        for path in self.folder.glob("part-*.parquet"):
            path.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()
        crashpoint("after_parts_go")


def table_of(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> Any:
    """Rows as a table, each column of one type; what has none that a file can hold becomes JSON text."""
    import pyarrow as pa

    arrays = []
    for name in columns:
        values = [row.get(name) for row in rows]
        try:
            made = pa.array(values)
        except (pa.ArrowException, OverflowError, UnicodeEncodeError):
            made = None
        arrays.append(made if made is not None and _is_held(made.type) else _texts(values))
    return pa.Table.from_arrays(arrays, names=list(columns))


def _is_held(kind: Any, depth: int = 0) -> bool:
    """Whether Parquet holds this type and gives it back: not objects without any key, nor what is nested too deep."""
    import pyarrow as pa

    if depth > DEEPEST:
        return False
    if pa.types.is_struct(kind):
        return kind.num_fields > 0 and all(_is_held(field.type, depth + 1) for field in kind)
    return not pa.types.is_list(kind) or _is_held(kind.value_type, depth + 1)


def write_file(path: Path, tables: Iterable[Any], told: object, *, untyped: bool = False) -> None:
    """Write tables one after the other as one file, in types that hold them all. `tables` is walked twice.

    A column without any value becomes text, or stays without a type (`untyped`), so that other files may give it one.
    """
    import pyarrow as pa

    pieces = list(tables) if not isinstance(tables, _Tables) else tables
    schema = _one_schema(pieces)
    if not untyped:
        schema = _typed(schema)
    metadata = {**(schema.metadata or {}), METADATA: json.dumps(told, sort_keys=True).encode()}
    schema = schema.with_metadata(metadata)
    with WrittenAside(path) as aside, parquet().ParquetWriter(aside, schema) as writer:
        for table in pieces:
            fitted = [_fitted(table.column(field.name), field.type) for field in schema]
            writer.write_table(pa.Table.from_arrays(fitted, schema=schema))


class _Tables:
    """Files that are read when they are walked over."""

    def __init__(self, makers: Sequence[Any]) -> None:
        self._makers = makers

    def __iter__(self) -> Iterator[Any]:
        return (make() for make in self._makers)


def lazily(makers: Sequence[Any]) -> _Tables:
    """Tables that are made anew each time they are walked over, so that one at a time is in memory."""
    return _Tables(makers)


def _one_schema(tables: Iterable[Any]) -> Any:
    """The types that hold all tables; a column whose types or values do not go together becomes text."""
    import pyarrow as pa

    schemas = [table.schema for table in tables]
    fields = []
    for place, field in enumerate(schemas[0]):
        try:
            parts = [pa.schema([each.field(place)]) for each in schemas]
            made = pa.unify_schemas(parts, promote_options="permissive").field(0)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            made = pa.field(field.name, pa.string())
        is_mixed = any(each.field(place).type != made.type for each in schemas)
        fields.append(pa.field(field.name, pa.string()) if is_mixed and not _holds(made, tables) else made)
    return pa.schema(fields)


def _holds(field: Any, tables: Iterable[Any]) -> bool:
    """Whether the values of all tables can be had in a type: beside fractions, a whole number may be too long."""
    import pyarrow as pa

    try:
        for table in tables:
            _fitted(table.column(field.name), field.type)
    except (pa.ArrowException, OverflowError):
        return False
    return True


def _typed(schema: Any) -> Any:
    import pyarrow as pa

    return pa.schema([pa.field(f.name, pa.string()) if pa.types.is_null(f.type) else f for f in schema])


def _fitted(column: Any, wanted: Any) -> Any:
    import pyarrow as pa

    if column.type == wanted:
        return column
    try:
        if not pa.types.is_string(wanted) or pa.types.is_null(column.type):
            return column.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        return pa.array(column.to_pylist(), wanted)
    return _texts(column.to_pylist())


def _texts(values: Iterable[Any]) -> Any:
    import pyarrow as pa

    return pa.array([_as_text(value) for value in values], pa.string())


def _as_text(value: Any) -> str | None:
    """The value as text, that of a text itself; halves of a character, which no file can hold, as question marks."""
    if value is None:
        return None
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text.encode(errors="replace").decode()


class WrittenAside:
    """Gives a path to write to; at the end it is flushed to the disk and renamed, on an error deleted."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._aside = path.parent / f".{path.name}.{os.getpid()}-{next(_NUMBERS)}.aside"

    def __enter__(self) -> Path:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        return self._aside

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            self._aside.unlink(missing_ok=True)
            return
        for target in (self._aside, self._path.parent):
            fd = os.open(target, os.O_RDONLY)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
            if target is self._aside:
                crashpoint("before_dataset_file")
                os.replace(self._aside, self._path)
        crashpoint("after_dataset_file")


def read_rows(path: Path) -> list[dict[str, Any]]:
    """The rows of a file."""
    found: list[dict[str, Any]] = parquet().read_table(path).to_pylist()
    return found
