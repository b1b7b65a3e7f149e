"""Writes down how each test ended, beside what tests recorded of their promises, so that a red test takes its figure
away and one that was skipped says so. It decides nothing, and where PASSLOOP_PROMISES names no file it does nothing.

One process writes: the one that hears of every test, also of one whose process died.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from .promises import FILE, write_line

__all__ = ["PASSED", "Outcomes", "without_passed"]

PASSED = "PASSLOOP_PASSED"
"""Names a file with the tests that need not run again, one in a line."""


class Outcomes:
    """A plugin of pytest: one line for each test, once all of its phases are over."""

    def __init__(self, *, large: bool) -> None:
        """`large`: whether only large tests run, for a process that dies does not say of what size its test was."""
        self._large = large
        self._worst: dict[str, tuple[str, str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A phase of a test is over, or the process that it ran in."""
        if report.failed:
            self._worst[report.nodeid] = ("failed", "")
        elif report.skipped and not hasattr(report, "wasxfail"):
            self._worst.setdefault(report.nodeid, ("skipped", _reason(report)))
        if report.when in ("setup", "call"):
            return
        outcome, reason = self._worst.pop(report.nodeid, ("passed", ""))
        large = "large" in report.keywords or (self._large and not report.keywords)
        size = "large" if large else "small"
        write_line({"test": report.nodeid, "size": size, "outcome": outcome, "reason": reason})


def _reason(report: pytest.TestReport) -> str:
    """Why a test was skipped, in one line."""
    said = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
    return " ".join(said.removeprefix("Skipped:").split())


def without_passed(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Take what need not run again out of `items`, in place."""
    named = os.environ.get(PASSED)
    if not named or not os.environ.get(FILE):
        return
    passed = set(Path(named).read_text().splitlines())
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in passed])
    items[:] = [item for item in items if item.nodeid not in passed]
