"""Models need large libraries; who only plans, asks or follows never pays for them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.tidy.source import PACKAGE, imports, parse, python_files, show

HEAVY = {
    "accelerate",
    "bitsandbytes",
    "datasets",
    "gguf",
    "kvpress",
    "lm_eval",
    "numpy",
    "safetensors",
    "sparse_attention_hub",
    "tokenizers",
    "torch",
    "transformers",
}
BENCH = PACKAGE / "apps" / "bench"
WORKERS_ONLY = (
    BENCH / "transformer",
    BENCH / "models" / "convert.py",
    BENCH / "methods" / "presses.py",
    BENCH / "methods" / "masker_attention.py",
    BENCH / "benchmarks" / "lm_eval.py",  # aggregations other than means, when an answer with one is scored
)
LIGHT = """
import sys
from passloop.apps.bench.plugins import adapter_kind, benchmark_kind, benchmark_names
for name in ("hf", "lm_eval"): adapter_kind(name)
for name in benchmark_names(): benchmark_kind(name)
print(*sorted({name.split(".")[0] for name in sys.modules}))
"""


def test_only_what_runs_in_a_worker_imports_heavy_libraries() -> None:
    found = [
        f"{show(path)}:{line}: {name}"
        for path in python_files(PACKAGE)
        if not any(path == each or each in path.parents for each in WORKERS_ONLY)
        for name, level, line in imports(parse(path))
        if level == 0 and name.split(".")[0] in HEAVY
    ]
    assert not found, "\n".join(found)


def test_planning_imports_no_heavy_library(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT], capture_output=True, text=True, check=True, timeout=30)
    assert not HEAVY & set(done.stdout.split())
