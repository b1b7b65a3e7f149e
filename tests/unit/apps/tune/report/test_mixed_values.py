"""Parameters of several types (a number, or `auto`) are exported in every form; a column of a file has one type."""

from __future__ import annotations

import io
import json

import pyarrow.parquet as pq
import pytest

from passloop.apps.tune.report.files import write_records
from passloop.apps.tune.report.standing import Standing
from passloop.apps.tune.search.expander import aims_of
from tests.support.study_trials import measured
from tests.unit.apps.tune.studies import study


@pytest.mark.parametrize(
    ("values", "column"),
    [
        ([1, "auto"], ["1", "auto"]),
        ([1, 2.5], [1.0, 2.5]),
        ([True, 3], ["True", "3"]),
        ([8, 16], [8, 16]),
    ],
)
def test_values_of_several_types_become_one_column(values: list[int | float | str], column: list[object]) -> None:
    made = study(space={"batch": values, "slots": [1]})
    trials = [measured(made, place, {"batch": each, "slots": 1}, 1.0) for place, each in enumerate(values)]
    told = Standing(made, aims_of(made), trials)
    found = pq.read_table(io.BytesIO(write_records(told, "parquet")))["params.batch"].to_pylist()
    assert found == column
    assert [type(each) for each in found] == [type(each) for each in column]
    lines = [json.loads(line) for line in write_records(told, "jsonl").decode().splitlines()]
    assert [line["params.batch"] for line in lines] == values
