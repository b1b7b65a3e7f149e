"""A cell sees its own variables and passloop's, and nothing of the cell before."""

from __future__ import annotations

import os

import pytest

from passloop.drivers.workers.variables import Variables

NAMES = ("TEST_OWN", "TEST_KEPT", "PASSLOOP_INDEX", "PASSLOOP_TASK_ID")


def now() -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in NAMES}


def test_what_was_said_goes_with_the_next_cell_and_a_tasks_own_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TEST_KEPT", "the worker's")
    variables = Variables()
    own = {"TEST_OWN": "x", "TEST_KEPT": "the task's", "PASSLOOP_TASK_ID": "none"}
    with variables.of({"PASSLOOP_TASK_ID": "1", "PASSLOOP_INDEX": "3"}, own):
        assert tuple(now().values()) == ("x", "the task's", "3", "1")
        os.environ["PASSLOOP_TASK_ID"] = "changed by the cell"
    assert (now()["TEST_OWN"], now()["TEST_KEPT"]) == (None, "the worker's")
    with variables.of({"PASSLOOP_TASK_ID": "2"}, None):
        assert tuple(now().values()) == (None, "the worker's", None, "2")


def test_a_cell_that_raises_leaves_nothing_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_OWN", raising=False)
    with pytest.raises(ValueError, match="wrong"), Variables().of({}, {"TEST_OWN": "x"}):
        raise ValueError("wrong")
    assert "TEST_OWN" not in os.environ
