"""A matrix from Python: run on an engine in this process, once; and what comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

import passloop
from passloop.apps.bench.spec import Benchmark, BenchSpec, ModelEntry, SparseAttention
from passloop.apps.errors import SpecError

SPEC = BenchSpec(
    bench="from-python",
    adapter="fake",
    models={"small": ModelEntry()},
    sparse_attention={
        "dense": SparseAttention(),
        "half": SparseAttention.model_validate({"method": "knorm", "compression_ratio": 0.5}),
    },
    benchmarks={"niah": Benchmark(subsets=["s1"], samples=4)},
)


def test_a_matrix_is_run_once_and_its_cells_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = passloop.run_matrix(SPEC, home=tmp_path / "home", virtual_gpus="0")
    assert result.complete
    assert result.counts["done"] == 2
    assert [row.kept for row in result.table.rows] == [1.0, 0.5]
    assert result.out == tmp_path / "results/from-python"
    assert "from-python" in result._repr_html_()
    before = {path: path.stat().st_mtime_ns for path in result.out.rglob("DONE.json")}
    again = passloop.run_matrix(SPEC, home=tmp_path / "no-home-is-made")
    assert again.results == result.results
    assert {path: path.stat().st_mtime_ns for path in result.out.rglob("DONE.json")} == before
    assert not (tmp_path / "no-home-is-made").exists()


def test_a_mistake_names_its_place_in_the_object(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SpecError, match=r"exclude\.0\.model: `b` is no model of this matrix"):
        passloop.run_matrix(SPEC.model_copy(update={"exclude": [{"model": ("b",)}]}), home=tmp_path / "home")
