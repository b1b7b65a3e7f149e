"""Seed files as other programs write them: each is read as it is meant, or told with what is wrong, before any call."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from passloop.apps.errors import BadValue
from passloop.apps.generate.seeds import seeded
from passloop.apps.generate.spec import Column


def values(folder: Path, name: str, *, rows: int = 1) -> list[Any]:
    column = Column.model_validate({"name": "who", "kind": "seed", "file": name})
    return [seeded(column, folder, seed=0, row=row) for row in range(rows)]


@pytest.mark.parametrize(
    ("name", "data", "found"),
    [
        ("mark.jsonl", '\ufeff{"who": "ann"}\n', ["ann"]),
        ("lines.jsonl", '{"who": "a\u2028b\x85c"}\r\n{"who": 2}', ["a\u2028b\x85c", 2]),
        ("mark.csv", "\ufeffwho\r\nann\r\nbob", ["ann", "bob"]),
        ("missing.jsonl", '{"who": NaN}\n{"who": 1.5}', [None, 1.5]),
        ("document.csv", "who\n" + "x" * 200_000 + "\n", ["x" * 200_000]),
        ("long.csv", 'who\n"a\nb"\nann,more\n', ["a\nb", "ann"]),
    ],
)
def test_a_seed_file_is_read_as_it_is_meant(tmp_path: Path, name: str, data: str, found: list[Any]) -> None:
    (tmp_path / name).write_text(data, encoding="utf-8", newline="")
    assert values(tmp_path, name, rows=len(found)) == found


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("twice.csv", "who,who\na,b\n", "two columns `who`"),
        ("other.csv", "whom\na,b\n", "one of `whom`"),
        ("list.jsonl", '[["who", 1]]\n', "no JSON object"),
        ("endless.jsonl", '{"who": Infinity}\n', "JSON does not say"),
        ("half.jsonl", '{"who": "\\ud83d"}\n', "JSON does not say"),
    ],
)
def test_a_seed_file_that_cannot_be_used_is_told(tmp_path: Path, name: str, data: str, said: str) -> None:
    (tmp_path / name).write_text(data, encoding="utf-8")
    with pytest.raises(BadValue) as told:
        values(tmp_path, name)
    assert said in f"{told.value.what}: {told.value.fix}"
    assert "null" not in told.value.fix


@pytest.mark.parametrize("value", [datetime.datetime(2026, 1, 1), b"raw", float("inf")])
def test_a_value_that_no_prompt_can_be_stored_with_is_told(tmp_path: Path, value: Any) -> None:
    pq.write_table(pa.table({"who": [value]}), tmp_path / "typed.parquet")
    with pytest.raises(BadValue, match="who"):
        values(tmp_path, "typed.parquet")
