"""A trial's process is started for each trial, so it loads what a plain trial needs and nothing else."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version

from passloop.apps.tune.trial.provenance import own_version

LARGE = ("aiohttp", "email", "importlib.metadata", "numpy", "optuna", "pydantic", "rich", "ruamel")
RARE = ("passloop.apps.tune.engines.docker", "passloop.apps.tune.load.adapters", "passloop.devices.nvml")


def test_a_trial_loads_nothing_large_and_no_foreign_client() -> None:
    code = "import sys, passloop.apps.tune.trial.__main__, passloop.apps.tune.load.points; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True).stdout
    assert {*LARGE, *RARE} & set(loaded.split()) == set()


def test_the_version_is_that_of_the_installed_package() -> None:
    assert own_version() == version("passloop")
