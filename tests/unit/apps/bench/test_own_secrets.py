"""Secrets in `env:` that would stand in each cell.json: refused in a new matrix, told where cells have them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import passloop.apps.bench.matrix as matrices
from passloop.apps.bench.matrix import Matrix
from passloop.apps.bench.own_secrets import left_out_name
from passloop.apps.secrecy import is_outside_identity
from passloop.cli.main import main
from tests.unit.apps.bench.places import complaints_of_text, matrix_of_text, order_of, run_one

SPEC = "bench: s\nadapter: fake\nmodels: [a, b]\nbenchmarks: [x]\nenv: {PLAIN: a, NAME: VALUE}\n"


def spec(name: str, value: str) -> str:
    return SPEC.replace("NAME", name).replace("VALUE", f'"{value}"')


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("GITHUB_PAT", "ghp_words", "looks like a secret"),
        ("SENTRY_DSN", "https://words@sentry.example/1", "looks like a secret"),
        ("DATABASE_URL", "postgres://me:words@host/db", "holds a URL with a password"),
        ("HTTPS_PROXY", "http://me:${MINE}words@host", "holds a URL with a password"),
    ],
)
def test_a_secret_that_would_stand_in_results_is_refused_and_never_shown(
    tmp_path: Path, name: str, value: str, why: str
) -> None:
    (said,) = complaints_of_text(spec(name, value), tmp_path)
    assert said == (
        f"m.yaml:5:{19 + len(name)} `{name}` {why}, and its value would stand in each cell.json of the results; "
        f"let the program set it from {name}_TOKEN, which stands in none, or read it from a file that {name}_FILE "
        "names; what is no secret wants another name"
    )
    assert "words" not in said
    (cell, _) = matrix_of_text(spec(left_out_name(name), value), tmp_path).cells()
    assert "words" not in cell.identity
    assert is_outside_identity(left_out_name(name))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("HF_TOKEN", "hf_words"),
        ("GITHUB_PAT_FILE", "/run/pat"),
        ("SENTRY_DSN", ""),
        ("JWT_ALGORITHM", "RS256"),
        ("DATABASE_URL", "postgres://me:${PGPASSWORD}@host/db"),
        ("PATIENCE", "3"),
    ],
)
def test_what_stands_in_no_result_or_is_no_secret_is_taken(tmp_path: Path, name: str, value: str) -> None:
    assert list(matrix_of_text(spec(name, value), tmp_path).cells())


def test_secrets_are_told_together_with_other_mistakes(tmp_path: Path) -> None:
    said = complaints_of_text(spec("GITHUB_PAT", "ghp_words") + "exclude: [{model: c}]\n", tmp_path)
    assert [each.split(" ")[0] for each in said] == ["m.yaml:5:29", "m.yaml:6:19"]


def earlier(text: str, folder: Path) -> Matrix:
    """The matrix as a version that knew no such secrets took it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(matrices, "secret_mistakes", lambda *_: [])
        return matrix_of_text(text, folder)


def test_a_matrix_that_has_cells_with_a_secret_finds_them_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = spec("GITHUB_PAT", "ghp_words")
    made = earlier(text, tmp_path)
    cells = list(made.cells())
    run_one(order_of(made, cells[1]), tmp_path / "out")
    assert [each.hash for each in matrix_of_text(text, tmp_path).cells()] == [each.hash for each in cells]
    assert complaints_of_text(spec("GITHUB_PAT", "ghp_others"), tmp_path)
    run_one(order_of(made, cells[0]), tmp_path / "out")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PASSLOOP_HOME", str(tmp_path / "home"))
    Path("m.yaml").write_text(text)
    assert main(["bench", "m.yaml"]) == 0
    told = capsys.readouterr()
    assert "2 cells; 2 complete before; 0 to run" in told.err
    assert "GITHUB_PAT looks like a secret, and its value stands in each cell.json there" in told.err
    assert "words" not in told.err + told.out


def test_a_matrix_that_was_begun_with_a_secret_goes_on_where_no_cell_has_run_yet(tmp_path: Path) -> None:
    text = spec("GITHUB_PAT", "ghp_words")
    made = earlier(text, tmp_path)
    rows = [["a", "dense", "x", "", 0, cell.hash, cell.path, None] for cell in made.cells()]
    Path(made.out).mkdir(parents=True)
    for plan in ({"bench": "s", "cells": [None, [{}], *rows]}, {"bench": "s", "cells": "odd"}, []):
        (Path(made.out) / "matrix.json").write_text(json.dumps(plan))
        if plan and plan["cells"] != "odd":
            assert len(list(matrix_of_text(text, tmp_path).cells())) == 2
        else:
            assert complaints_of_text(text, tmp_path)
