"""Answers that a program left are those of the attempt that counts, and all of them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

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
if not first:
    (out / "metrics.json").write_text('{"score": 1}')
"""


def test_answers_of_an_attempt_without_metrics_are_not_those_of_the_next(tmp_path: Path) -> None:
    (tmp_path / "eval.py").write_text(PROGRAM)
    command = [sys.executable, str(tmp_path / "eval.py"), str(tmp_path / "before")]
    spec = {"bench": "b", "adapter": "command", "command": command, "models": ["m"], "benchmarks": ["x"]}
    lab = Lab(tmp_path, json.dumps(spec))
    assert lab.run().metrics is None
    assert lab.run().metrics == {"score": 1}
    done = answers_of(lab.place() / "samples.jsonl")
    assert [(each.sample, each.answer) for each in done] == [("a", "second"), ("b", "second")]
