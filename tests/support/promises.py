"""Writes down what a test of a promise measured, as one line of JSON, for the page "Guarantees" to be made from.

Where PASSLOOP_PROMISES names no file nothing is written. It decides nothing: a test asserts first and records then, so
that a line means that the promise held, if the test passed. Several workers may write the same file.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from passloop.web.version import version

__all__ = ["FILE", "commit", "record", "sized", "write_line"]

ROOT = Path(__file__).parents[2]
FILE = "PASSLOOP_PROMISES"
TESTED = ("src", "tests", "pyproject.toml")
PROMISE = re.compile(r"P(?:[1-9]|1[0-9]|20)")

_sizes = ["small"]


def sized(size: str) -> None:
    """Say whether the test that begins now shows the `small` figure or the `large` one; for the tests' conftest."""
    if size not in ("small", "large"):
        raise ValueError(f"a figure is small or large, not {size!r}")
    _sizes[0] = size


def record(promise: str, figure: str, **numbers: float | str) -> None:
    """Append that `promise` ("P1" to "P20") held in the test under way.

    `figure` is what was shown, in words: "200 kills, 0 lost". `numbers` are measurements with their unit in the name.
    """
    if not PROMISE.fullmatch(promise):
        raise ValueError(f"a promise is named P1 to P20, not {promise!r}")
    test = os.environ.get("PYTEST_CURRENT_TEST", "").removesuffix(" (call)")
    line = {"promise": promise, "test": test, "figure": figure, "numbers": numbers, "size": _sizes[0]}
    write_line(line | {"process": os.getpid()})


def write_line(line: dict[str, object]) -> None:
    """Append this, with the time, the version and the commit, where PASSLOOP_PROMISES says; else do nothing."""
    path = os.environ.get(FILE)
    if not path:
        return
    now = datetime.now(UTC).replace(tzinfo=None)
    dated = {"date": now.date().isoformat(), "time": now.isoformat("T", "milliseconds")}
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, json.dumps(line | dated | {"version": version(), "commit": commit()}).encode() + b"\n")
    finally:
        os.close(descriptor)


@cache
def commit(root: Path = ROOT) -> str:
    """What is tested: the last commit that changed `src`, `tests` or what is installed beside them, as eight digits,
    with `+` where files differ from it; empty outside a repository. To write documents changes no figure.
    """
    about = ["--", *TESTED]
    said = [_git(root, "log", "-1", "--format=%h", "--abbrev=8", *about), _git(root, "status", "--porcelain", *about)]
    return said[0] + ("+" if said[0] and said[1] else "")


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, timeout=30, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
