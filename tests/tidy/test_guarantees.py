"""The page "Guarantees" says what the table of promises and the last results say, and every promise has its test."""

from __future__ import annotations

import ast
import importlib.util
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.tidy.source import ROOT, TESTS, python_files


def generator() -> ModuleType:
    """docs/guarantees.py, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("guarantees_page", ROOT / "docs" / "guarantees.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


MAKER: Any = generator()
NUMBERED = re.compile(r"test_p\d\d")
HERE = "tidy/test_guarantees.py::test_the_page_is_what_the_table_and_the_results_make"


def test_the_page_is_what_the_table_and_the_results_make() -> None:
    made = MAKER.page(MAKER.read_results(MAKER.RESULTS))
    assert made == MAKER.PAGE.read_text(encoding="utf-8"), "write it anew: python docs/guarantees.py"


def test_the_table_has_every_promise_once_and_in_order() -> None:
    assert [promise.name for promise in MAKER.PROMISES] == [f"P{number}" for number in range(1, 21)]


@pytest.mark.parametrize("promise", MAKER.PROMISES, ids=lambda promise: str(promise.name))
def test_each_promise_has_a_test_or_says_why_it_is_not_made(promise: Any) -> None:
    assert MAKER.files_of(promise) or promise.absent
    assert promise.unrecorded


def test_each_test_file_with_a_number_belongs_to_a_promise() -> None:
    known = {name for promise in MAKER.PROMISES for name in MAKER.files_of(promise)}
    numbered = {path.relative_to(TESTS).as_posix() for path in python_files(TESTS) if NUMBERED.match(path.name)}
    assert numbered <= known


def test_whatever_is_shown_is_shown_by_a_test_that_the_line_names() -> None:
    for promise in MAKER.PROMISES:
        results = [one for one in MAKER.read_results(MAKER.RESULTS) if one["promise"] == promise.name]
        assert {one["test"].partition("::")[0] for one in results} <= set(MAKER.files_of(promise)), promise.name


def test_whoever_records_a_promise_is_named_in_its_line() -> None:
    named = {(promise.name, name) for promise in MAKER.PROMISES for name in MAKER.files_of(promise)}
    recorded = {(name, file) for file, calls, _ in recording() for name in calls}
    assert len(recorded) >= 20
    assert recorded <= named


def test_whoever_records_a_promise_has_asserted_it_before() -> None:
    assert [(file, line) for file, _, late in recording() for line in late] == []


def recording() -> Iterator[tuple[str, list[str], list[int]]]:
    """Each function of the tests that records: its file, the promises, and the lines where it asserts afterwards."""
    for path in python_files(TESTS):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and path.name != "test_promises.py":
                calls = [one for one in ast.walk(node) if isinstance(one, ast.Call) and is_record(one)]
                first = min((one.lineno for one in calls), default=10**9)
                late = [one.lineno for one in ast.walk(node) if isinstance(one, ast.Assert) and one.lineno > first]
                yield path.relative_to(TESTS).as_posix(), [ast.literal_eval(one.args[0]) for one in calls], late


def is_record(call: ast.Call) -> bool:
    """Whether a call writes down a promise by its name."""
    return ast.unparse(call.func) == "record" and bool(call.args) and isinstance(call.args[0], ast.Constant)


def test_a_named_file_that_holds_no_test_is_an_error() -> None:
    row = MAKER.Promise(1, "x", "y", "z", ("tidy/source.py",))
    with pytest.raises(SystemExit, match="which holds no test"):
        MAKER.files_of(row)


def line(figure: str, **fields: object) -> str:
    """What a test wrote down."""
    said = {"promise": "P1", "test": f"tests/{HERE}[0]", "figure": figure, "numbers": {}, "size": "small"}
    return json.dumps(said | {"date": "2026-01-02", "version": "1"} | fields)


def test_equal_figures_of_one_test_are_counted() -> None:
    (one,) = MAKER.take_in([], [line("50 kills"), line("50 kills", test=f"tests/{HERE}[1]")])
    assert (one["test"], one["times"]) == (HERE, 2)
    assert "2 x 50 kills (2026-01-02, 1)" in MAKER.page([one])


def test_cases_of_one_test_are_added_up() -> None:
    lines = [line("0 wrong", test=f"tests/{HERE}[{n}]", numbers={"cases": 1_000}) for n in range(2)]
    assert "2,000 cases: 0 wrong (2026-01-02, 1)" in MAKER.page(MAKER.take_in([], lines))


def test_a_later_result_takes_the_place_of_an_earlier_one() -> None:
    before = MAKER.take_in([], [line("50 kills"), line("a", size="large"), line("b", promise="P2")])
    after = MAKER.take_in(before, [line("60 kills", date="2026-01-03")])
    assert {(one["promise"], one["size"], one["figure"]) for one in after} == {
        ("P1", "small", "60 kills"),
        ("P1", "large", "a"),
        ("P2", "small", "b"),
    }


def test_a_file_that_was_left_lying_takes_the_place_of_nothing() -> None:
    now = MAKER.take_in([], [line("60 kills", date="2026-01-03")])
    assert MAKER.take_in(now, [line("50 kills", date="2026-01-02")]) == now


def test_a_result_whose_test_is_gone_is_not_shown() -> None:
    gone = MAKER.take_in([], [line("51 kills", test="tests/tidy/test_guarantees.py::test_gone")])
    assert "51 kills" not in MAKER.page(gone)


def test_a_promise_without_a_result_says_so() -> None:
    rows = [text for text in MAKER.page([]).splitlines() if text.startswith("| P")]
    assert len(rows) == 20
    assert all("not made yet: " in text or "not written down yet" in text for text in rows)


def test_a_large_figure_is_missed_only_where_a_large_test_is_about_the_promise() -> None:
    rows = {row.split(" | ")[0][2:]: row for row in MAKER.page([]).splitlines() if row.startswith("| P")}
    missed = {name for name, row in rows.items() if "large: not written down yet" in row}
    assert missed == {f"P{number}" for number in range(1, 20)} - {"P8", "P16"}


def test_the_page_made_anew_from_the_same_results_is_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the files that it was made from, with those that are gone by now, and in whatever order workers wrote."""
    monkeypatch.setattr(MAKER, "PAGE", tmp_path / "page")
    monkeypatch.setattr(MAKER, "RESULTS", tmp_path / "results")
    lines = [
        line("50 kills"),
        line("b", promise="P2"),
        line("50 kills", test=f"tests/{HERE}[1]"),
        line("a", size="large"),
    ]
    written = tmp_path / "lines"
    made: set[tuple[str, str]] = set()
    for order in (lines, lines, lines[::-1], []):
        written.write_text("".join(f"{one}\n" for one in order))
        MAKER.main([str(written)])
        made.add((MAKER.PAGE.read_text(), MAKER.RESULTS.read_text()))
    assert len(made) == 1
    assert "2 x 50 kills" in MAKER.PAGE.read_text()


def test_the_page_is_written_from_files_of_results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MAKER, "PAGE", tmp_path / "page")
    monkeypatch.setattr(MAKER, "RESULTS", tmp_path / "results")
    (tmp_path / "lines").write_text(line("50 kills") + "\n" + line("x", test="tests/gone.py::test_x") + "\n")
    MAKER.main([str(tmp_path / "lines"), str(tmp_path / "not there")])
    assert "50 kills" in MAKER.PAGE.read_text()
    assert [one["figure"] for one in json.loads(MAKER.RESULTS.read_text())["results"]] == ["50 kills"]
