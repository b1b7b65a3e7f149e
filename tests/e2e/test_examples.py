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


def run(script: Path, *, home: Path, limit: int = 60) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PATH": f"{PASSLOOP.parent}:{os.environ['PATH']}", "PASSLOOP_HOME": str(home)}
    env = {**env, "PASSLOOP": str(PASSLOOP), "COLUMNS": "160"}
    return subprocess.run(["sh", str(script)], env=env, capture_output=True, text=True, timeout=limit, check=False)


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


@pytest.mark.no_cover
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
