"""What `generate` says while a dataset is made."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.cli.generating import Generate
from tests.support.generating import dataset_from


def test_progress_before_the_first_task_tells_the_reason_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = Generate(dataset_from(tmp_path), home=str(tmp_path))
    made._show({"counts": {"ready": 0}, "source": {"blockers": []}})
    made._show({"counts": {}, "source": {"blockers": [{"sentence": "it is being probed"}]}})
    assert capsys.readouterr().err == "it is being probed\n"


def test_progress_tells_what_holds_a_dataset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = Generate(dataset_from(tmp_path), home=str(tmp_path))
    blockers = [{"sentence": f"endpoint {number} is cooling down"} for number in (1, 2, 3)]
    made._show({"counts": {"ready": 6, "waiting": 12}, "source": {"blockers": blockers}})
    told = capsys.readouterr().err
    assert told == "tasks: 6 ready, 12 waiting; endpoint 1 is cooling down; endpoint 2 is cooling down\n"
