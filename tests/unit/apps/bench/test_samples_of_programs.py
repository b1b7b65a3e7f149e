"""Answers that a program left are those of the attempt that counts, and all of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from passloop.apps.bench.errors import Phase
from passloop.apps.bench.samples import answers_of

from .test_cell_run import Lab

PROGRAM = """
import os, sys
from pathlib import Path

out, before = Path(os.environ["PASSLOOP_OUT"]), Path(sys.argv[1])
first = not before.exists()
before.touch()
said = "first" if first else "second"
(out / "samples.jsonl").write_text('{"sample": "a", "answer": "%s"}\\n{"sample": "b", "answer": "%s"}' % (said, said))
if not first or sys.argv[2] == "always":
    (out / "metrics.json").write_text('{"score": %d}' % (0 if first else 1))
"""


def lab_of(folder: Path, *, metrics: str) -> Lab:
    """A matrix of one cell, whose program leaves other answers and metrics the first time than the second."""
    (folder / "eval.py").write_text(PROGRAM)
    command = [sys.executable, str(folder / "eval.py"), str(folder / "before"), metrics]
    spec = {"bench": "b", "adapter": "command", "command": command, "models": ["m"], "benchmarks": ["x"]}
    return Lab(folder, json.dumps(spec))


def answers_in(lab: Lab) -> list[tuple[str, str]]:
    return [(each.sample, each.answer) for each in answers_of(lab.place() / "samples.jsonl")]


def test_answers_of_an_attempt_without_metrics_are_not_those_of_the_next(tmp_path: Path) -> None:
    lab = lab_of(tmp_path, metrics="second")
    assert lab.run().metrics is None
    assert lab.run().metrics == {"score": 1}
    assert answers_in(lab) == [("a", "second"), ("b", "second")]


def test_answers_of_an_attempt_whose_results_could_not_be_stored_are_not_those_of_the_next(tmp_path: Path) -> None:
    lab = lab_of(tmp_path, metrics="always")
    (lab.place() / "metrics.json").mkdir(parents=True)  # so that the last write of the cell fails
    assert lab.run().reason.phase is Phase.STORE
    (lab.place() / "metrics.json").rmdir()
    assert lab.run().metrics == {"score": 1}
    assert answers_in(lab) == [("a", "second"), ("b", "second")]
