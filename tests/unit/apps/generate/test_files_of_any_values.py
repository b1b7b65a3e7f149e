"""What answers of models may hold, as JSON says it, fits into the parts of a dataset and into its file: whatever was
paid for can be written.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from passloop.apps.generate.parts import PartStore, lazily, write_file

LONG = 2**53 + 1


def through_parts(pieces: list[list[Any]]) -> list[Any]:
    """The values of a column, row group after row group, as they come out of the file."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.parquet"
        parts = PartStore(out)
        readers = []
        for unit, values in enumerate(pieces):
            path = parts.path(unit, "id")
            parts.write(path, [{"c": value} for value in values], ["c"], {})
            readers.append(lambda path=path: pq.read_table(path).replace_schema_metadata(None))
        write_file(out, lazily(readers), {})
        return [row["c"] for row in pq.read_table(out).to_pylist()]


@pytest.mark.parametrize(
    ("pieces", "found"),
    [
        ([[{}]], ["{}"]),
        ([[{"tags": {}}], [{"tags": {"a": 1}}]], ['{"tags": {}}', '{"tags": {"a": 1}}']),
        ([[[{}]]], ["[{}]"]),
        ([[LONG], [0.5]], [str(LONG), "0.5"]),
        ([[{"n": 0.5}], [{"n": LONG}]], ['{"n": 0.5}', f'{{"n": {LONG}}}']),
        ([[1], [0.5]], [1.0, 0.5]),
        ([["half a \ud83d character"]], ["half a ? character"]),
        ([[-1], [2**63]], ["-1", str(2**63)]),
    ],
)
def test_what_no_type_of_a_file_holds_is_written_as_text(pieces: list[list[Any]], found: list[Any]) -> None:
    assert through_parts(pieces) == found


PLAIN = st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=3)
VALUES = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner, max_size=2)
)


@given(st.lists(st.lists(VALUES, max_size=3), min_size=1, max_size=3))
def test_any_values_can_be_written(pieces: list[list[Any]]) -> None:
    assert len(through_parts(pieces)) == sum(map(len, pieces))


@pytest.mark.parametrize("depth", [5, 60, 400])
def test_deep_values_can_be_written_and_read(depth: int) -> None:
    value: Any = 1
    for _ in range(depth):
        value = {"in": [value]}
    (found,) = through_parts([[value]])
    assert (found == value) is (depth == 5)
    assert depth == 5 or found == json.dumps(value)
