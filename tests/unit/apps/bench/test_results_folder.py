"""Results lie in a folder of their own that can be written into; what else is told before anything runs."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from passloop.apps.bench.planned import planned_of, write_planned
from passloop.apps.bench.results_folder import folder_mistakes
from tests.unit.apps.bench.places import FAKE, complaints_of_text, matrix_of_text


def test_two_matrices_never_share_a_folder(tmp_path: Path) -> None:
    matrix = matrix_of_text(FAKE.replace("bench: small", "bench: a b"), tmp_path)
    write_planned(Path(matrix.out), planned_of(matrix, matrix.cells()))
    assert matrix_of_text(FAKE.replace("bench: small", "bench: a b"), tmp_path).out == matrix.out
    (told,) = complaints_of_text(FAKE.replace("bench: small", "bench: a_b"), tmp_path)
    assert told.startswith("m.yaml:2:8 ")
    assert "holds the results of the matrix `a b`; name another `out`" in told
    (told,) = complaints_of_text(FAKE + "out: results/a_b\n", tmp_path)
    assert told.startswith("m.yaml:7:6 ")


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("x")
    for out in ("taken", "taken/below"):
        (told,) = complaints_of_text(FAKE + f"out: {out}\n", tmp_path)
        assert "taken is no folder, so no results can lie in it" in told


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_into_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o555)
    (told,) = folder_mistakes("x", str(tmp_path / "new"), key="out")
    tmp_path.chmod(0o755)
    assert told.what == f"nothing can be written into {tmp_path}"


def test_a_plan_that_cannot_be_read_belongs_to_nobody(tmp_path: Path) -> None:
    for text in ("", "{", "[]", '{"bench": 3}'):
        (tmp_path / "matrix.json").write_text(text)
        assert not list(folder_mistakes("x", str(tmp_path), key="out"))
