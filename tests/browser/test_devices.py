"""The page of devices on a machine that NVML shows (its stand-in): curves, and processes of others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.browsing import Visit, visits
from tests.support.command_line import Box, ended_boxes
from tests.support.fake_nvml.machine import FakeMachine, build, gpu


@pytest.fixture
def shown(tmp_path: Path) -> FakeMachine:
    """A machine with two GPUs, one of them busy."""
    machine = FakeMachine(tmp_path / "machine")
    machine.show(gpu("a", 1, "util=87", "power=412000"), gpu("b", 2))
    return machine


@pytest.fixture
def real(tmp_path: Path, shown: FakeMachine) -> Iterator[Box]:
    """A home with a daemon on these GPUs."""
    library = build(tmp_path)
    with ended_boxes(tmp_path) as box:
        del box.environment["PASSLOOP_VIRTUAL_GPUS"]
        locks = tmp_path / "locks"
        locks.mkdir()
        locks.chmod(0o1777)
        box.environment |= {"LD_LIBRARY_PATH": str(library.parent), "FAKE_NVML": str(shown.file)}
        box.environment["PASSLOOP_LOCK_DIR"] = str(locks)
        assert box.run("up").code == 0
        yield box


@pytest.mark.large
@pytest.mark.timeout(120)
def test_curves_of_devices_are_drawn_for_the_task_that_held_them(browser: Any, real: Box) -> None:
    """Devices are looked at every five seconds, so this takes a task of some length."""
    (task,) = real.submit("-g", "2", "--name", "busy", "--", "sleep", "16")
    with visits(browser, real) as visit:
        visit.go("#/devices", ".device")
        visit.see("held by")
        visit.see("busy 87 %")
        real.run("wait", str(task))
        visit.page.set_default_timeout(30_000)
        visit.go(f"#/tasks/{task}", ".uplot canvas")
        for title in ("Utilisation", "Memory in use", "Power"):
            visit.see(title)
        assert drawn(visit) > 100
        visit.go("#/devices", ".uplot canvas")
        visit.check_axe()
        visit.check_calm()


def test_a_gpu_that_others_use_names_them(browser: Any, real: Box, shown: FakeMachine) -> None:
    shown.show(gpu("a", 1), gpu("b", 2, "used=41000"), f"compute pid={os.getpid()} used=41000")
    (task,) = real.submit("-g", "2", "--", "true")
    with visits(browser, real) as visit:
        visit.go("#/devices", ".device")
        visit.see(f"not ours: pid {os.getpid()}")
        visit.go(f"#/tasks/{task}", ".reason")
        visit.check_calm()


def drawn(visit: Visit) -> int:
    """How many dots of a curve's canvas have a colour."""
    return int(
        visit.page.locator(".uplot canvas").first.evaluate(
            "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data"
            ".filter((value, place) => place % 4 === 3 && value > 0).length"
        )
    )
