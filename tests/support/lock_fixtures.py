"""A folder of locks that all homes of a box share, and another home's locks in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from passloop.devices.locks import DeviceLocks

__all__ = ["folder", "theirs"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "locks"
    made.mkdir()
    made.chmod(0o1777)
    return made


@pytest.fixture
def theirs(folder: Path) -> DeviceLocks:
    return DeviceLocks("bbbb2222", folder)
