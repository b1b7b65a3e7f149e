"""Facts about exports: one line per task, the same columns in every form, nothing a spreadsheet would run."""

from __future__ import annotations

import csv
import io
import json
import sys

import pytest

from passloop.apps.errors import BadValue
from passloop.apps.queue.export import ExportFormat, export_columns, write_export
from passloop.apps.queue.report import Report, build_report
from tests.support.json_tasks import START, attempt, task


def sample() -> Report:
    return build_report(
        [
            task(
                1,
                attempt(0, 1.5, gpus=["GPU-a"]),
                params={"lr": 0.1, "mode": "x"},
                results={"acc": 0.5, "n": 1},
            ),
            task(2, attempt(0, 1), params={"lr": 1, "mode": 3}, results={"acc": float("nan"), "ok": True}),
            task(3, params={"mode": "=cmd()"}, name='a,"b"\nc'),
        ],
        made_at=START + 9000,
    )


def written(kind: ExportFormat) -> bytes:
    out = io.BytesIO()
    write_export(sample(), kind, out)
    return out.getvalue()


def test_csv_has_one_line_per_task_and_a_column_per_value() -> None:
    lines = list(csv.DictReader(io.StringIO(written(ExportFormat.CSV).decode(), newline="")))
    assert [line["id"] for line in lines] == ["1", "2", "3"]
    assert (lines[0]["param.lr"], lines[0]["metric.acc"], lines[0]["gpus"]) == ("0.1", "0.5", "GPU-a")
    assert lines[0]["seconds"] == "1.5"
    assert lines[0]["started_at"] == "2026-09-21T14:13:20.000Z"
    assert lines[2]["name"] == 'a,"b"\nc'
    assert json.loads(lines[0]["command"]) == ["python", "train.py"]


def test_csv_never_opens_as_a_formula() -> None:
    lines = list(csv.DictReader(io.StringIO(written(ExportFormat.CSV).decode(), newline="")))
    assert lines[2]["param.mode"] == "'=cmd()"


def test_json_lines_are_strict_json_with_every_column() -> None:
    def refuse(name: str) -> object:
        raise AssertionError(f"{name} is not JSON")

    records = [json.loads(line, parse_constant=refuse) for line in written(ExportFormat.JSONL).splitlines()]
    assert [list(record) for record in records] == [export_columns(sample())] * 3
    assert (records[0]["command"], records[0]["gpus"], records[2]["gpus"]) == (["python", "train.py"], ["GPU-a"], [])
    assert records[1]["metric.acc"] == "nan"


def test_parquet_has_the_same_rows() -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed (passloop[pandas])")
    table = parquet.read_table(io.BytesIO(written(ExportFormat.PARQUET)))
    assert table.column_names == export_columns(sample())
    assert table.column("param.lr").to_pylist() == [0.1, 1.0, None]
    assert table.column("param.mode").to_pylist() == ["x", "3", "=cmd()"]


def test_parquet_without_pyarrow_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(BadValue, match=r"pip install 'passloop\[pandas\]'"):
        written(ExportFormat.PARQUET)
