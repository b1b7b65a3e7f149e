"""Builds the stand-in for libnvidia-ml.so.1 and writes the machine that it shows. Compiled once a test session."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SOURCE = Path(__file__).with_name("nvml.c")
LIBRARY = "libnvidia-ml.so.1"
GPU = "total=81559 used=0 reserved=550 util=0 power=70000"

LOST = 15
NOT_SUPPORTED = 3
UNKNOWN = 999


def build(folder: Path, *flags: str) -> Path:
    """The compiled library in `folder`; skips the test where there is no C compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        pytest.skip("the stand-in for NVML is compiled from C, and there is neither gcc nor cc")
    library = folder / LIBRARY
    command = [compiler, "-shared", "-fPIC", "-Wall", "-Werror", "-O1", *flags, "-o", str(library), str(SOURCE)]
    subprocess.run(command, check=True, timeout=60)
    return library


class FakeMachine:
    """The machine that the stand-in shows, as lines of its file. Written at once, seen at the next look."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.lines: list[str] = []

    def show(self, *lines: str) -> None:
        """From now on the machine is exactly this."""
        self.lines = list(lines)
        draft = self.file.with_suffix(".draft")
        draft.write_text("".join(f"{line}\n" for line in lines))
        draft.replace(self.file)


def gpu(letter: str, bus: int, *more: str) -> str:
    """A line for a GPU named after its letter, on this PCI bus; later keys do not override earlier ones."""
    return " ".join(["gpu", *more, f"uuid=GPU-{letter}", "name=Fake_H100", f"bus=0000:{bus:02x}:00", GPU])
