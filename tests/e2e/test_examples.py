"""The examples run as they are, by real processes. The digits sweep runs with one seed instead of three."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PASSLOOP = Path(sys.executable).with_name("passloop")


def run(script: Path, *, home: Path, limit: int = 60, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PATH": f"{PASSLOOP.parent}:{os.environ['PATH']}", "PASSLOOP_HOME": str(home)}
    env = {**env, "PASSLOOP": str(PASSLOOP), "COLUMNS": "160"}
    return subprocess.run(
        ["sh", str(script)], cwd=cwd, env=env, capture_output=True, text=True, timeout=limit, check=False
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("array", r"squares\[10\],succeeded"),
        ("each_line", r"the line is: \$HOME stays as it is"),
        ("after", r"aborted +evaluate"),
        ("virtual_gpus", r"needs 4 GPUs"),
    ],
)
def test_small_example_runs_as_it_is(name: str, said: str, tmp_path: Path) -> None:
    done = run(ROOT / "examples" / "small" / f"{name}.sh", home=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(said, done.stdout), done.stdout


@pytest.mark.timeout(300)
@pytest.mark.skipif(importlib.util.find_spec("sklearn") is None, reason="scikit-learn is missing (passloop[examples])")
def test_demo_trains_reports_and_repeats_only_what_failed(tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    shutil.copytree(ROOT / "examples" / "digits", folder)
    sweep = folder / "sweep.yaml"
    one_seed = sweep.read_text().replace("seeds: [1, 2, 3]", "seeds: [1]").replace("time_limit: 30s", "time_limit: 12s")
    assert "seeds: [1]" in one_seed
    assert "time_limit: 12s" in one_seed
    sweep.write_text(one_seed)

    first = run(folder / "demo.sh", home=tmp_path / "home", limit=150)
    assert first.returncode == 0, first.stderr
    assert "10 cells" in first.stdout
    assert "8 succeeded" in first.stdout
    assert "n_estimators" in first.stdout
    assert "stopped at its time limit" in first.stdout
    assert "Where and when" in (tmp_path / "home" / "digits.html").read_text()

    second = run(folder / "demo.sh", home=tmp_path / "home", limit=150)
    assert second.returncode == 0, second.stderr
    lines = [line.split() for line in second.stdout.splitlines()]
    again = [int(words[0]) for words in lines if words and words[0].isdigit() and "model=forest" in words]
    assert again == [11, 12], "two new tasks, and no more"
    assert "8 succeeded" in second.stdout


@pytest.mark.timeout(120)
def test_the_demo_runs_every_cell_once_and_prints_the_table(tmp_path: Path) -> None:
    """`make demo`, from its script to its table, but for the model: its cells are played, and no torch is wanted."""
    folder = tmp_path / "niah"
    shutil.copytree(ROOT / "examples" / "niah", folder)
    matrix = folder / "bench.yaml"
    as_it_is = matrix.read_text()
    assert as_it_is.count("models:\n") == 1
    matrix.write_text(as_it_is.replace("models:\n", "adapter: fake\nmodels:\n"))

    first = run(folder / "demo.sh", home=tmp_path / "home", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "21 cells (21 pending)" in first.stdout
    heads, *rows = [line.split()[:3] for line in first.stdout.splitlines() if "niah/" in line or "smollm2-135m" in line]
    assert heads == ["model", "sparse", "attention"]
    methods = ["dense", "knorm-50", "snapkv-50", "streaming-50", "tova-50", "keydiff-50", "random-50"]
    assert [row[1] for row in rows] == methods
    assert "21 cells: 21 done" in first.stdout
    done = {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("DONE.json")}
    assert len(done) == 21

    second = run(folder / "demo.sh", home=tmp_path / "home", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert "21 cells; 21 complete before; 0 to run" in second.stderr
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "results").rglob("DONE.json")} == done
