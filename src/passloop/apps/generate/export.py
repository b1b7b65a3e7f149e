"""A dataset in other forms: JSON lines, CSV, Parquet, a folder as Hugging Face `datasets` reads it. Reads the dataset's
own file, writes aside and renames.
"""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

from passloop.apps.errors import BadValue

from .parts import WrittenAside, parquet, write_file

__all__ = ["FORMATS", "export_dataset"]

FORMATS = ("parquet", "jsonl", "csv", "hf")
CARD = "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*.parquet\n---\n"


def export_dataset(made: Path, target: Path, form: str) -> None:
    """Write the dataset in the file `made` to `target`, a folder for `hf`. Raises `BadValue`."""
    if not made.exists():
        raise BadValue(f"the dataset {made} is not there", "run `passloop generate SPEC` again")
    if form == "hf":
        _folder(made, target)
    elif form == "parquet":
        write_file(target, [parquet().read_table(made).replace_schema_metadata(None)], _told(made))
    elif form == "jsonl":
        with WrittenAside(target) as aside, aside.open("w", encoding="utf-8") as file:
            for row in _rows(made):
                file.write(_json(row) + "\n")
    else:
        _csv(made, target)


def _csv(made: Path, target: Path) -> None:
    names = list(parquet().read_schema(made).names)
    with WrittenAside(target) as aside, aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        for row in _rows(made):
            writer.writerow([_flat(row[name]) for name in names])


def _folder(made: Path, target: Path) -> None:
    table = parquet().read_table(made).replace_schema_metadata(None)
    write_file(target / "data" / "train-00000-of-00001.parquet", [table], _told(made))
    with WrittenAside(target / "README.md") as aside:
        aside.write_text(f"{CARD}\n# {made.stem}\n\nMade by passloop: {table.num_rows:,} rows.\n", encoding="utf-8")


def _rows(made: Path) -> Any:
    """The rows, a batch of them in memory at a time."""
    file = parquet().ParquetFile(made)
    return (row for batch in file.iter_batches() for row in batch.to_pylist())


def _told(made: Path) -> Any:
    metadata = parquet().read_schema(made).metadata or {}
    return json.loads(metadata.get(b"passloop", b"{}"))


def _flat(value: Any) -> Any:
    return _json(value) if isinstance(value, dict | list) else value


def _json(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False)
    except ValueError:
        return json.dumps(_sayable(value), ensure_ascii=False, allow_nan=False)


def _sayable(value: Any) -> Any:
    """The same without NaN and the infinities, which JSON does not know: null, so that a column keeps one type."""
    if isinstance(value, dict):
        return {name: _sayable(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_sayable(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
