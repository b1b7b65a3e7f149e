"""The process of a call: one function, JSON in, JSON out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from passloop.api.callee import main

MODULE = """
import json, os
from pathlib import Path

class Study:
    @staticmethod
    def best(x): return x

async def later(x): return {"x": x}
def nothing(): return None
def opaque(): return object()
def both():
    Path(os.environ["PASSLOOP_OUT"], "metrics.json").write_text('{"own": 1}')
    return {"y": 2}
"""


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The attempt's folder, beside a module to call."""
    (tmp_path / "called_module.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PASSLOOP_OUT", str(tmp_path))
    return tmp_path


def run(target: str, *args: object) -> int:
    return main(target, json.dumps({"args": args, "kwargs": {}}))


def left(out: Path, name: str) -> object:
    return json.loads((out / name).read_text())


def test_what_it_returns_is_left_as_json(out: Path) -> None:
    assert run("called_module:Study.best", [1, {"a": "é"}]) == 0
    assert left(out, "result.json") == [1, {"a": "é"}]


def test_numbers_texts_and_booleans_are_metrics(out: Path) -> None:
    assert run("called_module:Study.best", {"a": 1, "b": "x", "c": True, "d": [1], "e": None}) == 0
    assert left(out, "metrics.json") == {"a": 1, "b": "x", "c": True}


def test_a_single_number_is_the_metric_named_result(out: Path) -> None:
    assert run("math:sqrt", 16) == 0
    assert left(out, "metrics.json") == {"result": 4.0}


def test_metrics_that_the_function_wrote_itself_stay(out: Path) -> None:
    assert run("called_module:both") == 0
    assert left(out, "metrics.json") == {"own": 1}
    assert left(out, "result.json") == {"y": 2}


def test_a_function_without_a_result_leaves_null_and_no_metrics(out: Path) -> None:
    assert run("called_module:nothing") == 0
    assert left(out, "result.json") is None
    assert not (out / "metrics.json").exists()


def test_a_coroutine_is_run(out: Path) -> None:
    assert run("called_module:later", 3) == 0
    assert left(out, "result.json") == {"x": 3}


def test_a_result_that_json_cannot_say_is_an_error_with_a_fix(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("called_module:opaque") == 1
    assert "how to fix" in capsys.readouterr().err
    assert not (out / "result.json").exists()


def test_what_the_function_raises_is_not_hidden(out: Path) -> None:
    with pytest.raises(ValueError, match="math domain"):
        run("math:sqrt", -1)
