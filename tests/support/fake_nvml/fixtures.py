"""The stand-in for NVML, in this process: it is put where `pynvml` keeps the library, and taken away again."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pynvml
import pytest

from tests.support.fake_nvml.machine import FakeMachine, build


@pytest.fixture(scope="session")
def fake_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The compiled stand-in."""
    return build(tmp_path_factory.mktemp("nvml"))


@pytest.fixture
def machine(fake_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeMachine:
    """A machine without GPUs, until `show` puts some in."""
    shown = FakeMachine(tmp_path / "machine")
    shown.show()
    monkeypatch.setenv("FAKE_NVML", str(shown.file))
    library = ctypes.CDLL(str(fake_library))
    while library.nvmlShutdown() == 0:
        pass  # NVML counts who opened it; what earlier tests left open is closed.
    monkeypatch.setattr(pynvml, "nvmlLib", library)
    monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    return shown
