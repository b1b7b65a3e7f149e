"""Homes for tests of the real command line: one with a daemon for a whole file, and fresh ones."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import Box, ended_boxes


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """A fresh home without an engine. Engines are looked at in the homes that files share."""
    with ended_boxes(tmp_path, deep=False) as fresh:
        yield fresh


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """A home with a daemon, shared by the tests of a file: each looks at its own tasks only."""
    with ended_boxes(tmp_path_factory.mktemp("shared")) as common:
        assert common.run("up").code == 0
        yield common
