"""What crash tests share: a home with its record, where engines are forked, places to die at, and the kill runs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deaths import Place, place_at
from tests.support.kill_runs import KillRuns
from tests.support.killing import Field, Nursery


@pytest.fixture
def field(tmp_path: Path) -> Iterator[Field]:
    with Field.on(tmp_path) as field:
        yield field


@pytest.fixture
def nursery() -> Iterator[Nursery]:
    with Nursery() as nursery:
        yield nursery


@pytest.fixture
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """The crash point that a test is marked with; see `dies_at`."""
    with place_at(request.param, tmp_path) as place:
        yield place


@pytest.fixture(scope="session")
def kill_runs(tmp_path_factory: pytest.TempPathFactory) -> KillRuns:
    """One folder for all workers: theirs lie beside each other in the session's."""
    base = tmp_path_factory.getbasetemp()
    return KillRuns((base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "kill-runs")
