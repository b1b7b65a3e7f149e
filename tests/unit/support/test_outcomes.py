"""How each test ended is written down, and what passed before is left out when that is asked for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.outcomes import PASSED, Outcomes
from tests.support.promises import FILE

ROOT = Path(__file__).parents[3]
SEVERAL = """
import pytest
from tests.support.promises import record

@pytest.fixture
def broken_afterwards():
    yield
    raise ValueError

def test_good():
    record("P1", "x", kills=1)

def test_red():
    record("P1", "x", kills=1)
    assert False

def test_red_afterwards(broken_afterwards):
    pass

def test_left_out():
    pytest.skip("no\\nroom")

@pytest.mark.xfail
def test_known():
    assert False

@pytest.mark.large
@pytest.mark.parametrize("n", [0, 1])
def test_long(n):
    pass
"""
Run = Callable[..., list[tuple[str, str, str, str]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs those tests as `make` does and gives each test, size, outcome and reason in what it wrote."""
    (tmp_path / "pytest.ini").write_text("[pytest]\nmarkers = large: long\n")
    (tmp_path / "test_several.py").write_text(SEVERAL)

    def run(passed: str = "") -> list[tuple[str, str, str, str]]:
        (tmp_path / "passed").write_text(passed)
        lines = tmp_path / "lines"
        lines.unlink(missing_ok=True)
        environ = os.environ | {FILE: str(lines), PASSED: str(tmp_path / "passed"), "PYTHONPATH": f"{ROOT}/src:{ROOT}"}
        environ.pop("PYTEST_XDIST_WORKER", None)
        words = ["-p", "tests.conftest", "-p", "no:randomly", "-p", "no:cacheprovider", "-q", "test_several.py"]
        subprocess.run([sys.executable, "-m", "pytest", *words], cwd=tmp_path, env=environ, capture_output=True)
        told = [json.loads(line) for line in lines.read_text().splitlines()]
        names = [one["test"].partition("::")[2] for one in told]
        return [
            (name, one["size"], one.get("outcome", one.get("promise")), one.get("reason", ""))
            for name, one in zip(names, told, strict=True)
        ]

    return run


@pytest.mark.no_cover
def test_each_test_is_followed_by_how_it_ended_and_what_passed_is_not_run_again(run: Run) -> None:
    assert run("test_several.py::test_long[1]\ntest_several.py::test_lo\n") == [
        ("test_good", "small", "P1", ""),
        ("test_good", "small", "passed", ""),
        ("test_red", "small", "P1", ""),
        ("test_red", "small", "failed", ""),
        ("test_red_afterwards", "small", "failed", ""),
        ("test_left_out", "small", "skipped", "no room"),
        ("test_known", "small", "passed", ""),
        ("test_long[0]", "large", "passed", ""),
    ]


@pytest.mark.parametrize("large", [True, False])
def test_a_test_whose_process_died_is_red(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, large: bool) -> None:
    monkeypatch.setenv(FILE, str(tmp_path / "lines"))
    died = pytest.TestReport("a.py::test_x", ("a.py", None, "a.py"), {}, "failed", "it died", "???")  # type: ignore[arg-type]
    Outcomes(large=large).pytest_runtest_logreport(died)
    (line,) = map(json.loads, (tmp_path / "lines").read_text().splitlines())
    assert (line["test"], line["outcome"]) == ("a.py::test_x", "failed")
    assert line["size"] == ("large" if large else "small")
