"""The library as a process finds it: by the loader's path, of an old driver, or not at all."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.fake_nvml.machine import FakeMachine, build, gpu

LISTING = """
import json, os
from passloop.devices.opening import open_inventory
inventory = open_inventory(os.environ)
seen = inventory.look()
samples = inventory.samples([one.uuid for one in seen])
inventory.close()
print(json.dumps({
    "devices": [[one.index, one.uuid, one.usable_mib, len(one.foreign), one.fault] for one in seen],
    "power": [one.power_w for one in samples],
    "reason": inventory.absent_reason,
    "virtual": inventory.virtual,
}))
"""


def listing(variables: Mapping[str, str]) -> dict[str, Any]:
    """What a fresh process lists, with these variables and none of ours."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PASSLOOP_", "LD_", "FAKE_"))}
    command = [sys.executable, "-W", "error", "-c", LISTING]
    done = subprocess.run(command, env=kept | dict(variables), capture_output=True, timeout=50, check=True)
    assert done.stderr == b""
    return dict(json.loads(done.stdout))


@pytest.fixture
def shown(tmp_path: Path) -> FakeMachine:
    machine = FakeMachine(tmp_path / "machine")
    machine.show(gpu("a", 1), gpu("b", 2, "used=700"), "compute pid=1 used=700")
    return machine


def test_the_library_is_found_by_the_loader(fake_library: Path, shown: FakeMachine) -> None:
    listed = listing({"LD_LIBRARY_PATH": str(fake_library.parent), "FAKE_NVML": str(shown.file)})
    assert listed["devices"] == [[0, "GPU-a", 81_559, 0, ""], [1, "GPU-b", 80_859, 1, ""]]
    assert listed["power"] == [70, 70]


def test_an_old_driver_lists_its_devices_without_what_it_cannot_tell(tmp_path: Path, shown: FakeMachine) -> None:
    library = build(tmp_path, "-DOLD_DRIVER")
    listed = listing({"LD_LIBRARY_PATH": str(library.parent), "FAKE_NVML": str(shown.file)})
    assert listed["devices"] == [[0, "GPU-a", 81_559, 0, ""], [1, "GPU-b", 80_859, 1, ""]]
    assert listed["power"] == [None, None]


def test_without_a_library_there_are_no_devices_and_the_reason_is_said(tmp_path: Path) -> None:
    not_a_library = tmp_path / "libnvidia-ml.so.1"
    not_a_library.write_text("not a library")
    listed = listing({"LD_LIBRARY_PATH": str(tmp_path)})
    assert listed["devices"] == []
    assert listed["reason"].startswith("No NVIDIA driver was found")


def test_virtual_devices_stand_in_for_the_real_ones(fake_library: Path, shown: FakeMachine) -> None:
    listed = listing(
        {
            "LD_LIBRARY_PATH": str(fake_library.parent),
            "FAKE_NVML": str(shown.file),
            "PASSLOOP_VIRTUAL_GPUS": "1x24GiB",
        }
    )
    assert listed["devices"] == [[0, "GPU-virtual-0", 24_576, 0, ""]]
    assert listed["virtual"]
