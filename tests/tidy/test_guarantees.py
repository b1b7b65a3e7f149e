"""The page "Guarantees" says what the table of promises and the last results say, every promise has its test, and each
test that writes down a figure writes one that its promise asks for.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.tidy.source import ROOT, TESTS, python_files


def generator() -> ModuleType:
    """docs/guarantees.py, which is a script beside two modules, and in no package."""
    sys.path.append(str(ROOT / "docs"))
    spec = importlib.util.spec_from_file_location("guarantees_page", ROOT / "docs" / "guarantees.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


MAKER: Any = generator()
KNOWN = {f"P{number}" for number in range(1, 21)}
NUMBERED = re.compile(r"test_p\d\d")


def test_the_page_is_what_the_table_and_the_results_make() -> None:
    made = MAKER.page(MAKER.read_results(MAKER.RESULTS))
    assert made == MAKER.PAGE.read_text(encoding="utf-8"), "write it anew: python docs/guarantees.py"


def test_the_page_shows_every_small_figure_or_says_which_skipped_test_excuses_it() -> None:
    """Large ones may lack until `make prove` was run; the head of the page counts them."""
    results = MAKER.read_results(MAKER.RESULTS)
    anew = "take them in: `make test`, then `.venv/bin/python docs/guarantees.py .promises.small`"
    assert MAKER.check(results) == [], anew
    told = [one for promise in MAKER.PROMISES for one in MAKER.results_of(promise, results)]
    red = {one["test"] for one in told if (one.get("outcome"), one["size"]) == ("failed", "small")}
    assert red == set(), anew


def test_the_table_has_every_promise_once_and_in_order() -> None:
    assert [promise.name for promise in MAKER.PROMISES] == [f"P{number}" for number in range(1, 21)]


@pytest.mark.parametrize("promise", MAKER.PROMISES, ids=lambda promise: str(promise.name))
def test_each_promise_has_a_test_or_says_why_it_is_not_made(promise: Any) -> None:
    assert bool(MAKER.files_of(promise)) != bool(promise.absent)
    assert any(figure.small is not None for figure in promise.figures) != bool(promise.absent)


def test_each_test_file_with_a_number_belongs_to_a_promise() -> None:
    known = {name for promise in MAKER.PROMISES for name in MAKER.files_of(promise)}
    numbered = {path.relative_to(TESTS).as_posix() for path in python_files(TESTS) if NUMBERED.match(path.name)}
    assert numbered <= known


def test_whatever_is_shown_is_shown_by_a_test_that_the_line_names() -> None:
    for promise in MAKER.PROMISES:
        results = [one for one in MAKER.read_results(MAKER.RESULTS) if one.get("promise") == promise.name]
        assert {one["test"].partition("::")[0] for one in results} <= set(MAKER.files_of(promise)), promise.name


def test_a_large_figure_is_asked_for_where_a_large_test_is_about_the_promise() -> None:
    asked = {promise.name for promise in MAKER.PROMISES if any(one.large is not None for one in promise.figures)}
    assert asked == {promise.name for promise in MAKER.PROMISES if MAKER.has_large(promise)}


def test_what_is_written_down_is_what_the_promise_asks_for() -> None:
    """So a figure that is no longer written down is missed: there is none that nobody asks for."""
    asked = {promise.name: {figure.unit for figure in promise.figures} for promise in MAKER.PROMISES}
    written: dict[str, set[str]] = {name: set() for name in asked}
    for place, call in records():
        names = {keyword.arg for keyword in call.keywords if keyword.arg}
        for name in promises_of(call):
            assert names & asked[name], f"{place} writes nothing that {name} asks for: docs/promises.py"
            written[name] |= names
    assert {name: units - written[name] for name, units in asked.items() if units - written[name]} == {}


def records() -> Iterator[tuple[str, ast.Call]]:
    """Each call that writes down a promise, and where it stands."""
    for path, tree in recorders():
        for call in ast.walk(tree):
            if isinstance(call, ast.Call) and is_record(call):
                yield f"{path.name}:{call.lineno}", call


def promises_of(call: ast.Call) -> list[str]:
    """The promises that a call writes down; a crash point is one of four."""
    said = call.args[0]
    return [said.value] if isinstance(said, ast.Constant) else ["P1", "P2", "P3", "P5"]


def test_whoever_records_a_promise_is_named_in_its_line() -> None:
    named = {(promise.name, name) for promise in MAKER.PROMISES for name in MAKER.files_of(promise)}
    recorded = {(name, file) for file, calls, _ in recording() for name in calls}
    assert len(recorded) >= 20
    assert recorded <= named


def test_whoever_records_a_promise_has_asserted_it_before() -> None:
    assert [(file, line) for file, _, late in recording() for line in late] == []


@cache
def recorders() -> list[tuple[Path, ast.Module]]:
    """The files of tests that write down promises, parsed."""
    texts = {path: path.read_text(encoding="utf-8") for path in python_files(TESTS)}
    return [(path, ast.parse(text)) for path, text in texts.items() if "support.promises import" in text]


def recording() -> Iterator[tuple[str, list[str], list[int]]]:
    """Each function of the tests that records: its file, the promises, and the lines where it asserts afterwards."""
    for path, tree in recorders():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                calls = [one for one in ast.walk(node) if isinstance(one, ast.Call) and is_record(one)]
                first = min((one.lineno for one in calls), default=10**9)
                late = [one.lineno for one in ast.walk(node) if isinstance(one, ast.Assert) and one.lineno > first]
                yield path.relative_to(TESTS).as_posix(), [name for one in calls for name in promises_of(one)], late


def is_record(call: ast.Call) -> bool:
    """Whether a call writes down a promise by its name, or by one of several."""
    named = bool(call.args) and ast.unparse(call.args[0]).strip("'") in {*KNOWN, "promise"}
    return ast.unparse(call.func) == "record" and named


def test_a_named_file_that_holds_no_test_is_an_error() -> None:
    row = MAKER.Promise(1, "x", "y", (), ("tidy/source.py",))
    with pytest.raises(SystemExit, match="which holds no test"):
        MAKER.files_of(row)
