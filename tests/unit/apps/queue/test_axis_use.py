"""A misspelt axis is told where it is written; the command's own braces stay as they are."""

from __future__ import annotations

import pytest

from .places import places_of, refused_sweep, sweep

HEAD = 'run: digits\ncommand: [train.py, "{depth}", "{lr}"]\n'


@pytest.mark.parametrize(
    ("axes", "place"),
    [
        ("matrix:\n  lr: [1]\n  detph: [2, 4]\n", "s.yaml:5:3"),
        ("matrix: {lr: [1], Depth: [2]}\n", "s.yaml:3:19"),
        ("zip: {lr: [1], dept: [2]}\n", "s.yaml:3:16"),
        ("zip: [{lr: [1]}, {dept: [2]}]\n", "s.yaml:3:19"),
    ],
)
def test_a_misspelt_axis_is_an_error_at_its_name(axes: str, place: str) -> None:
    error = refused_sweep(HEAD + axes)
    assert places_of(error) == [place]
    assert "used nowhere" in error.problems[0].what
    assert "did you mean `depth`?" in error.problems[0].fix


@pytest.mark.parametrize(
    "use",
    [
        'name: "a {detph}"\n',
        'key: "a/{detph}/{lr}"\n',
        "env: {D: '{detph}'}\n",
        "when: detph < 9\n",
        "exclude: [{detph: 4}]\n",
    ],
)
def test_an_axis_that_is_used_elsewhere_leaves_the_braces_alone(use: str) -> None:
    cells = list(sweep(HEAD + "matrix: {lr: [1], detph: [2, 4]}\n" + use).cells())
    assert cells[0].command == ("train.py", "{depth}", "1")


@pytest.mark.parametrize("axis", ["momentum", "seed_offset"])
def test_braces_like_no_axis_are_the_commands_own(axis: str) -> None:
    assert len(list(sweep(HEAD + f"matrix: {{lr: [1], {axis}: [1, 2]}}\n").cells())) == 2
