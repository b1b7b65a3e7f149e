"""Other forms of a dataset: what they hold is what their formats know."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, NoReturn

from passloop.apps.generate.export import export_dataset
from passloop.apps.generate.parts import table_of, write_file

ROWS: list[dict[str, Any]] = [
    {"score": 1.5, "more": {"of": [0.5, math.inf]}},
    {"score": math.nan, "more": {"of": [-math.inf]}},
    {"score": -math.inf, "more": {"of": []}},
]


def refused(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON")


def strict(text: str) -> Any:
    return json.loads(text, parse_constant=refused)


def test_json_lines_have_null_for_what_is_no_number_in_json(tmp_path: Path) -> None:
    write_file(tmp_path / "made.parquet", [table_of(ROWS, ["score", "more"])], {})
    export_dataset(tmp_path / "made.parquet", tmp_path / "made.jsonl", "jsonl")
    lines = (tmp_path / "made.jsonl").read_text().splitlines()
    assert [strict(line) for line in lines] == [
        {"score": 1.5, "more": {"of": [0.5, None]}},
        {"score": None, "more": {"of": [None]}},
        {"score": None, "more": {"of": []}},
    ]
    export_dataset(tmp_path / "made.parquet", tmp_path / "made.csv", "csv")
    assert (tmp_path / "made.csv").read_text().splitlines()[1] == '1.5,"{""of"": [0.5, null]}"'
