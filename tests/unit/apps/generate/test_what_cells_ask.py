"""What the cells of a column ask of the engine."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.apps.generate.cells import task_spec
from tests.support.generating import dataset_from


@pytest.mark.parametrize(
    ("said", "wish"), [("wait", "wait"), ("fail", "end"), ("drop_rows", "fail"), ("finish_rest", "fail")]
)
def test_calls_carry_what_their_dataset_wants_of_a_dead_endpoint(tmp_path: Path, said: str, wish: str) -> None:
    made = dataset_from(tmp_path, on_dead_endpoint=said)
    assert task_spec(made, made.columns["text"]).on_dead == wish
